// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"

	"github.com/parley-voice/parley/transport"
)

// line is the demo's transport: the director speaks into the session's ingress, and
// what the agent says is taken by the frame observer. So nothing is left to do here.
type line struct{ in transport.Ingress }

// Kind names the transport.
func (l *line) Kind() transport.Kind { return "loopback" }

// Capabilities says what the transport can do.
func (l *line) Capabilities() transport.Capabilities {
	return transport.Capabilities{CodecsIn: []string{"pcm_s16le"}, CodecsOut: []string{"pcm_s16le"}, Ack: transport.AckEstimate}
}

// Open binds the session.
func (l *line) Open(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	l.in = in
	return l, nil
}

// WriteFrame takes a frame of the agent.
func (l *line) WriteFrame(*transport.Frame) error { return nil }

// Fence has nothing to drop: nothing is buffered behind WriteFrame.
func (l *line) Fence(transport.Fence) {}

// Close ends the line.
func (l *line) Close(string) error { return nil }
