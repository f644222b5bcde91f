// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"math"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/transport"
)

// The consumers of the voice graph that ask for what they take, as the kernel knows them.
const (
	consumerClient   = "client"
	consumerObserver = "observer"
)

// anyNumber is what a consumer asks for that takes everything at once.
const anyNumber = math.MaxInt32

// postReady says who takes from which edges, behind the bootstrap.
func (s *Session) postReady() {
	if sink, ok := s.link.(transport.TextSink); ok {
		n := int64(sink.TextWindow())
		if n <= 0 {
			n = anyNumber
		}
		s.post(&session.Ready{To: consumerClient, Count: n})
	}
	if s.meter.on() {
		s.post(&session.Ready{To: consumerObserver, Count: anyNumber})
	}
	s.taps.start()
	s.graph.sound.start()
	s.graph.spoken.start()
}

// TextTaken says that the client can read on.
func (i *ingress) TextTaken(n int) {
	s := (*Session)(i)
	if s.taken() && n > 0 {
		s.post(&session.Ready{To: consumerClient, Count: int64(n)})
	}
}

// deliver hands an item to the consumer of its edge.
func (s *Session) deliver(e *session.Deliver) {
	switch e.To {
	case consumerClient:
		if sink, ok := s.link.(transport.TextSink); ok {
			from := transport.TextCaller
			if e.From == session.FromAgentText {
				from = transport.TextAgent
			}
			sink.WriteText(transport.Text{From: from, Of: e.Of, Text: s.content.text(e.Handle), Final: e.Kind == session.ItemFinal})
		}
	case consumerObserver:
		s.meter.deliver(e)
	default:
		s.taps.gone(e.Edge, e.Handle)
		s.taps.deliver(e)
	}
}

// letGo forgets the content of an item that nobody will take.
func (s *Session) letGo(e *session.Release) {
	s.meter.forget(e.Handle)
	s.content.forgetAny(e.Handle)
	s.taps.gone(e.Edge, e.Handle)
}

// flowSignal tells the node that produces for an edge to stop or to go on, and what it may
// send.
func (s *Session) flowSignal(e *eventabi.Envelope) {
	switch e.Signal { //nolint:exhaustive // the rest is not for a producer
	case eventabi.SignalFlowXOff, eventabi.SignalFlowXOn, eventabi.SignalCreditGrant:
		if e.TargetLane == eventabi.DataLane {
			s.taps.flow(e)
		}
	case eventabi.SignalDegrade:
		if e.Reason == "capability_lost:"+string(e.EdgeID) { // it was cut off
			s.taps.flow(e)
		}
	}
}
