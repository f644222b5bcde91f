// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/realtime"
)

// mounts lists the transports that parley serve has, and where. Adding one is adding its
// line here.
func mounts() []serve.Mount {
	return []serve.Mount{
		{Path: "/v1/realtime", Kind: realtime.Kind, About: "clients of OpenAI's Realtime API", New: func(h transport.Host, o serve.MountOptions) (http.Handler, error) {
			return realtime.New(realtime.Config{Origins: o.OriginPatterns}, h)
		}},
	}
}
