// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"

	coder "github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport/transporttest"
)

// resume takes a session over, as a second client would.
func resume(ctx context.Context, url string, id eventabi.SessionID) error {
	ws, _, err := coder.Dial(ctx, url, &coder.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return err
	}
	defer ws.CloseNow() //nolint:errcheck // it has done its part
	hello, err := wire.AppendClient(nil, &wire.Hello{Token: transporttest.Token, Resume: &wire.Resume{Session: id}})
	if err != nil {
		return err
	}
	if err := ws.Write(ctx, coder.MessageText, hello); err != nil {
		return err
	}
	_, _, err = ws.Read(ctx) // welcome
	return err
}
