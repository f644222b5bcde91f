// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

// switchboard begins a session for each caller.
type switchboard struct{ host transport.Host }

func (b switchboard) Connect(ctx context.Context, login transporttest.Login) (transporttest.Client, error) {
	l, err := New(Config{})
	if err != nil {
		return nil, err
	}
	o := transport.Offer{Kind: l.Kind(), Token: login.Token, Capabilities: l.Capabilities()}
	if _, err := b.host.Begin(ctx, o, l.Open); err != nil {
		return nil, err
	}
	return &party{line: l}, nil
}

// party is the caller of a line.
type party struct {
	line *Line
	next time.Duration // end of what it has said
}

// lead is how far ahead of the line a party speaks, so that its lumps join.
const lead = 100 * time.Millisecond

func (p *party) Speak(pcm []int16) error {
	at := p.next
	if now := p.line.Now(); at <= now {
		at = now + lead
	}
	at = p.line.Place(at, pcm)
	p.next = at + time.Duration(len(pcm))*time.Second/transport.SampleRate
	return nil
}

func (p *party) Heard() []int16 { return p.line.Agent() }
func (p *party) Send(any) error { return errors.ErrUnsupported }
func (p *party) Ended() bool    { return p.line.Reason() != "" }
func (p *party) Close() error   { return nil }
func (p *party) Texts() []transport.Text {
	return p.line.Texts()
}

func (p *party) Leave() error {
	p.line.HangUp()
	return nil
}

func TestConformance(t *testing.T) {
	const nothing = "a line carries sound from the caller, and nothing else"
	const noWire = "there is no wire that could be cut or filled up"
	transporttest.Run(t, transporttest.Subject{
		Kind:  Kind,
		Start: func(_ *testing.T, h transport.Host) transporttest.Endpoint { return switchboard{h} },
		Lacks: map[transporttest.Ability]string{
			transporttest.CanText: nothing, transporttest.CanEnd: nothing, transporttest.CanCancel: nothing,
			transporttest.CanStop: nothing, transporttest.CanMute: nothing, transporttest.CanControl: nothing,
			transporttest.CanContext: nothing, transporttest.CanRespond: nothing, transporttest.CanConfigure: nothing,
			transporttest.CanTools: nothing, transporttest.CanGarble: nothing,
			transporttest.CanDrop: noWire, transporttest.CanResume: noWire, transporttest.CanStall: noWire,
			transporttest.CanChoose: "there is one format",
			transporttest.CanRoute:  "there is no other endpoint than this process",
		},
	})
}
