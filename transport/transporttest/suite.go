// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// Subject is an adapter that is held to the contract.
type Subject struct {
	Kind transport.Kind
	// Start has the adapter take clients for a host until the test ends (t.Cleanup), with
	// nothing left behind then.
	Start func(t *testing.T, h transport.Host) Endpoint
	// Codecs are what a client may ask for by Login.Codec; none = it has no choice.
	Codecs []string
	// Lacks are the abilities that the transport has no way for, with the reason, which is
	// shown where a check is left out. What is neither there nor listed fails.
	Lacks map[Ability]string
	// Patience is how long a check waits for what must come; 0 = 20 s.
	Patience time.Duration
	// Foreign are functions of the client's library, as a stack has them, whose goroutines
	// outlive a client by that library's own rules. They are not looked for.
	Foreign []string
}

// Ability is something that not every transport has a way for.
type Ability string

// The abilities: what a client can send, by the names of what Send takes; what it can be
// shown; and what can happen to its link.
const (
	CanText      Ability = "text"      // Text
	CanEnd       Ability = "end"       // EndOfUtterance
	CanCancel    Ability = "cancel"    // Cancel
	CanStop      Ability = "stop"      // Stop
	CanMute      Ability = "mute"      // Muted
	CanControl   Ability = "control"   // transport.Control
	CanContext   Ability = "context"   // transport.Context
	CanRespond   Ability = "respond"   // Respond
	CanConfigure Ability = "configure" // transport.Wishes
	CanTools     Ability = "tools"     // transport.ToolResult
	CanRead      Ability = "read"      // Reader
	CanDrop      Ability = "drop"      // Dropper
	CanResume    Ability = "resume"    // Resumer
	CanStall     Ability = "stall"     // Staller
	CanGarble    Ability = "garble"    // Garbler
	CanRefuse    Ability = "refuse"    // a client is told that it was not let in
	CanChoose    Ability = "codec"     // a client chooses its codec
	CanRoute     Ability = "route"     // transport.Router
)

// Endpoint is where clients of an adapter connect to.
type Endpoint interface {
	// Connect brings a client as far as its session has begun. The error of one that was
	// turned down wraps a *transport.RefusedError where the wire tells its code.
	Connect(ctx context.Context, l Login) (Client, error)
}

// Login is what a client says when it comes.
type Login struct {
	Token string
	Codec string // empty = the subject's own choice
}

// Client is the other end of the wire. Where it can do more it is a Reader, a Dropper, a
// Resumer, a Staller, a Garbler.
type Client interface {
	// Speak sends sound, 16 kHz in lumps of any length, and need not pace it.
	Speak(pcm []int16) error
	// Heard is the sound that came so far, at 16 kHz, with or without the pauses.
	Heard() []int16
	// Send says something else: one of the types of Call.What. It gives errors.ErrUnsupported
	// for what the transport has no way for.
	Send(what any) error
	// Leave ends the conversation in good order.
	Leave() error
	// Ended says that the adapter has closed the link.
	Ended() bool
	// Close lets go of the client, in whatever state it is.
	Close() error
}

// Reader is a client that is shown text.
type Reader interface{ Texts() []transport.Text }

// Dropper is a client whose link can be cut without a word.
type Dropper interface{ Drop() error }

// Resumer is a client that comes back after a Drop, to the same session.
type Resumer interface {
	Resume(ctx context.Context, l Login) error
}

// Staller is a client that stops to read.
type Staller interface{ Stall() }

// Garbler is a client that sends what no client should: a few messages, each wrong in a way
// of its own.
type Garbler interface{ Garble() error }

// Run holds an adapter to the contract: one subtest for each mandatory category of
// nodes-providers-transports section 9. An adapter is certified when none fails. It takes some
// ten seconds, mostly of waiting, and looks for goroutines that are left behind: nothing runs
// in parallel with it.
func Run(t *testing.T, s Subject) {
	t.Helper()
	t.Run("bootstrap_auth", s.bootstrapAuth)
	t.Run("ingress_mapping", s.ingressMapping)
	t.Run("egress_fence", s.egressFence)
	t.Run("sequence", s.sequence)
	t.Run("connection_states", s.connectionStates)
	t.Run("cleanup_deadline", s.cleanupDeadline)
	t.Run("routing_switch", s.routingSwitch)
	t.Run("codec", s.codec)
	t.Run("namespaced_control", s.namespacedControl)
}

// leavesNothing looks for goroutines that are left behind when a test ends, its subtests and
// clean-ups included.
func (s Subject) leavesNothing(t *testing.T) {
	t.Helper()
	spared := []goleak.Option{goleak.IgnoreCurrent()}
	for _, f := range s.Foreign {
		spared = append(spared, goleak.IgnoreAnyFunction(f))
	}
	t.Cleanup(func() {
		err := goleak.Find(spared...)
		for began := time.Now(); err != nil && time.Since(began) < lingers; {
			err = goleak.Find(spared...)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// lingers is how long a goroutine may go on behind the end of what it was for: on a machine
// with much else to do, one that reads from a closed socket takes a while to hear of it.
const lingers = 10 * time.Second

// needs leaves a check out that the transport has no way for.
func (s Subject) needs(t *testing.T, a Ability) {
	t.Helper()
	if why, lacks := s.Lacks[a]; lacks {
		if why == "" {
			t.Fatalf("%s is lacking without a reason", a)
		}
		t.Skipf("%s: %s", a, why)
	}
}

// stage is an adapter with a host behind it.
type stage struct {
	*Host
	t        *testing.T
	endpoint Endpoint
}

func (s Subject) stage(t *testing.T, c Config) *stage {
	t.Helper()
	c.Patience = s.Patience
	st := &stage{Host: NewHost(t, c), t: t}
	st.endpoint = s.Start(t, st.Host)
	t.Cleanup(st.Host.Close) // ahead of what Start cleans up, which may wait for sessions
	return st
}

// connect brings a client, and its session.
func (st *stage) connect(l Login) (Client, *Session) {
	st.t.Helper()
	c, err := st.try(l)
	if err != nil {
		st.t.Fatalf("a client with a valid token was turned down: %v", err)
	}
	x := st.Next()
	if n := x.Early(); n > 0 {
		st.t.Errorf("%d calls of Ingress came before the session had begun; they would be lost", n)
	}
	return c, x
}

// try brings a client, or not.
func (st *stage) try(l Login) (Client, error) {
	st.t.Helper()
	ctx, cancel := context.WithTimeout(st.t.Context(), st.config.Patience)
	defer cancel()
	c, err := st.endpoint.Connect(ctx, l)
	if err == nil && c == nil {
		st.t.Fatal("Connect gave neither a client nor an error")
	}
	if c != nil {
		st.t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// refused expects that a client was turned down, for a reason that it is told where the
// wire can, and that nothing was bound for it.
func (st *stage) refused(l Login, code transport.RefusalCode) {
	st.t.Helper()
	before := len(st.Sessions())
	_, err := st.try(l)
	if err == nil {
		st.t.Errorf("a client was let in that has %s", code)
	}
	var refusal *transport.RefusedError
	if errors.As(err, &refusal) && refusal.Code != code {
		st.t.Errorf("the client was told %s; want %s", refusal.Code, code)
	}
	if n := len(st.Sessions()) - before; n > 0 {
		st.t.Errorf("%d sessions were bound for a client that was turned down", n)
	}
}

// eventually waits for something that the client sees.
func (st *stage) eventually(what string, is func() bool) bool {
	st.t.Helper()
	for end := time.Now().Add(st.config.Patience); ; time.Sleep(5 * time.Millisecond) {
		if is() {
			return true
		}
		if time.Now().After(end) {
			st.t.Errorf("it did not happen: %s", what)
			return false
		}
	}
}

// send says something, and fails where a transport does not what it does not lack.
func (st *stage) send(c Client, what any) {
	st.t.Helper()
	if err := c.Send(what); err != nil {
		st.t.Fatalf("sending %T: %v; name it among what the subject lacks if its transport has no way for it", what, err)
	}
}

// as asks for an ability of a client.
func as[T any](st *stage, c Client) T {
	st.t.Helper()
	x, ok := c.(T)
	if !ok {
		st.t.Fatalf("the client is no %T; name it among what the subject lacks if its transport has no way for it", (*T)(nil))
	}
	return x
}

// capabilities are what the adapter offered.
func (s *Session) capabilities() transport.Capabilities { return s.offer.Capabilities }

const (
	firstTurn  eventabi.TurnID = "turn-1"
	secondTurn eventabi.TurnID = "turn-2"
	// short is how long a tone is played or spoken.
	short = 400 * time.Millisecond
	// tolerance is how much of a tone may be lost at its edges, or in the codec and the
	// jitter buffer.
	tolerance = 120 * time.Millisecond
)
