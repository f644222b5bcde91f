// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// bootstrapAuth: token and epoch before anything of a session (rule 1 of package
// transport); who is turned down has left nothing.
func (s Subject) bootstrapAuth(t *testing.T) {
	s.leavesNothing(t)
	t.Run("offer", func(t *testing.T) {
		st := s.stage(t, Config{})
		_, x := st.connect(Login{Token: Token})
		o := x.Offer()
		if o.Kind != s.Kind || o.Token != Token {
			t.Errorf("the offer is of kind %q, with the client's own token: %t; want %q and true", o.Kind, o.Token == Token, s.Kind)
		}
		if again := st.offerOf(Login{Token: Token}); !reflect.DeepEqual(o.Capabilities, again.Capabilities) {
			t.Errorf("the capabilities differ from client to client: %+v and %+v", o.Capabilities, again.Capabilities)
		}
	})
	for _, code := range []transport.RefusalCode{
		transport.RefusedToken, transport.RefusedExpired, transport.RefusedRevoked, transport.RefusedEpoch,
		transport.RefusedEnded, transport.RefusedCapacity, transport.RefusedDraining,
	} {
		t.Run(string(code), func(t *testing.T) {
			s.needs(t, CanRefuse)
			st := s.stage(t, Config{Authenticate: func(o transport.Offer) (transport.Bootstrap, error) {
				if o.Token == Token {
					return transport.Bootstrap{}, nil
				}
				return transport.Bootstrap{}, &transport.RefusedError{Code: code, Reason: "for the test", RetryAfter: time.Second}
			}})
			st.refused(Login{Token: "not-" + Token}, code)
			if offers := st.Offers(); len(offers) > 0 && offers[0].Token != "not-"+Token {
				t.Error("another token was offered than the client's")
			}
			st.connect(Login{Token: Token}) // and others come in
		})
	}
}

func (st *stage) offerOf(l Login) transport.Offer {
	st.t.Helper()
	_, x := st.connect(l)
	return x.Offer()
}

// ingressMapping: what a client says arrives as what it means.
func (s Subject) ingressMapping(t *testing.T) {
	s.leavesNothing(t)
	t.Run("audio", func(t *testing.T) {
		st := s.stage(t, Config{})
		c, x := st.connect(Login{Token: Token})
		st.speak(c, Tone(1, short))
		st.heardBySession(x, 1)
	})
	instructions := "Speak like a pirate."
	for _, e := range []struct {
		can  Ability
		what any
	}{
		{CanText, Text{"What time is it?", "key-1"}},
		{CanEnd, EndOfUtterance{"key-2"}},
		{CanCancel, Cancel{transport.Request{Turn: firstTurn, Key: "key-3"}}},
		{CanStop, Stop{transport.Request{Turn: firstTurn, Key: "key-4"}}},
		{CanMute, Muted{true}},
		{CanContext, transport.Context{Role: transport.ContextUser, Text: "My name is Ada.", Key: "key-5"}},
		{CanRespond, Respond{"key-6"}},
		{CanConfigure, transport.Wishes{Instructions: &instructions}},
		{CanTools, transport.ToolResult{ID: "call-1", Output: `{"time":"noon"}`}},
	} {
		t.Run(string(e.can), func(t *testing.T) {
			s.needs(t, e.can)
			st := s.stage(t, Config{})
			c, x := st.connect(Login{Token: Token})
			x.ToolCall(transport.ToolCall{ID: "call-1", Turn: firstTurn, Name: "clock", Arguments: "{}"})
			x.Play(firstTurn, 1, Tone(0, 100*time.Millisecond)) // there is something to cancel
			st.send(c, e.what)
			st.arrives(x, e.what)
		})
	}
	t.Run("garbage", func(t *testing.T) {
		s.needs(t, CanGarble)
		st := s.stage(t, Config{})
		c, _ := st.connect(Login{Token: Token})
		if err := as[Garbler](st, c).Garble(); err != nil {
			t.Fatal(err)
		}
		other, x := st.connect(Login{Token: Token}) // whatever became of it, others are served
		st.speak(other, Tone(1, short))
		st.heardBySession(x, 1)
	})
}

// arrives waits for what was sent. A transport may add keys, and turn a cancel of a turn
// into one of the current.
func (st *stage) arrives(x *Session, sent any) {
	st.t.Helper()
	switch sent := sent.(type) {
	case Text:
		Await(x, func(v Text) bool { return v.Text == sent.Text })
	case EndOfUtterance:
		Await[EndOfUtterance](x, nil)
	case Cancel:
		Await(x, func(v Cancel) bool { return v.Turn == "" || v.Turn == sent.Turn })
	case Stop:
		Await(x, func(v Stop) bool { return v.Turn == "" || v.Turn == sent.Turn })
	case Muted:
		Await(x, func(v Muted) bool { return v == sent })
	case transport.Control:
		Await(x, func(v transport.Control) bool { return v.Kind == sent.Kind && v.Digit == sent.Digit })
	case transport.Context:
		Await(x, func(v transport.Context) bool { return v.Role == sent.Role && v.Text == sent.Text })
	case Respond:
		Await[Respond](x, nil)
	case transport.Wishes:
		Await(x, func(v transport.Wishes) bool { return v.Instructions != nil && *v.Instructions == *sent.Instructions })
	case transport.ToolResult:
		Await(x, func(v transport.ToolResult) bool { return v.ID == sent.ID && v.Output == sent.Output })
	default:
		st.t.Fatalf("the suite does not know how %T arrives", sent)
	}
}

// speak has a client say something, in lumps that are no whole frames, at the pace of speech.
func (st *stage) speak(c Client, pcm []int16) {
	st.t.Helper()
	const lump = 1000
	began := time.Now()
	for n := 0; n < len(pcm); n += lump {
		time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / transport.SampleRate)))
		if err := c.Speak(pcm[n:min(n+lump, len(pcm))]); err != nil {
			st.t.Fatalf("speaking: %v", err)
		}
	}
}

// heardBySession waits until the session has heard tones, each short long, in order.
func (st *stage) heardBySession(x *Session, order ...int) {
	st.t.Helper()
	st.heard("the session", x.Heard, order...)
}

// heardByClient waits until the client has.
func (st *stage) heardByClient(c Client, order ...int) {
	st.t.Helper()
	st.heard("the client", c.Heard, order...)
}

func (st *stage) heard(who string, pcm func() []int16, order ...int) {
	st.t.Helper()
	last := order[len(order)-1]
	if !st.eventually(fmt.Sprintf("%s hears tone %d to its end", who, last), func() bool {
		return Listen(pcm()).long(last) >= short-tolerance
	}) {
		st.t.Fatalf("%s heard %v; want the tones %v, %v each", who, Listen(pcm()), order, short)
	}
	heard := Listen(pcm())
	if !slices.Equal(heard.order(), order) {
		st.t.Errorf("%s heard %v; want the tones %v, in this order", who, heard, order)
	}
	for _, tone := range order {
		if long := heard.long(tone); long < short-tolerance || long > short+tolerance {
			st.t.Errorf("%s heard tone %d for %v; want %v", who, tone, long, short)
		}
	}
}

// namespacedControl: what is the transport's own comes as a control, with what it is.
func (s Subject) namespacedControl(t *testing.T) {
	s.leavesNothing(t)
	s.needs(t, CanControl)
	st := s.stage(t, Config{})
	c, x := st.connect(Login{Token: Token})
	for i, digit := range []string{"5", "#"} {
		sent := transport.Control{Kind: "dtmf", Digit: digit, Key: eventabi.IdempotencyKey(fmt.Sprint("key-", i))}
		st.send(c, sent)
		st.arrives(x, sent)
	}
	if n := len(Came[transport.Control](x)); n != 2 {
		t.Errorf("%d controls came; want one for each of 2 digits\n%s", n, x.Transcript())
	}
}
