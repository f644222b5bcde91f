// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/websocket"
)

// mounts lists the transports that parley serve has, and where. Adding one is adding its
// line here.
func mounts() []serve.Mount {
	return []serve.Mount{
		{Path: "/v1/ws", Kind: websocket.Kind, About: "Parley's own clients, see docs/websocket.md", New: func(h transport.Host, o serve.MountOptions) (http.Handler, error) {
			return websocket.New(websocket.Config{Origins: o.OriginPatterns, Compression: true}, h)
		}},
	}
}
