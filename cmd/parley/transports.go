// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/rtvi"
)

// mounts lists the transports that parley serve has, and where. Adding one is adding its
// line here.
func mounts() []serve.Mount {
	return []serve.Mount{
		{
			Path: "/v1/rtvi/", Kind: rtvi.Kind, About: "Pipecat's clients (RTVI), the WebSocket at ws, POST to connect",
			New: func(h transport.Host, o serve.MountOptions) (http.Handler, error) {
				return rtvi.New(rtvi.Config{Origins: o.OriginPatterns, URL: o.PublicURL, Version: version}, h)
			},
		},
	}
}
