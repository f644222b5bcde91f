// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// Token is the session token that a Host takes unless it is told otherwise.
const Token = "transporttest-token"

// Config is what a Host is made of. The zero value lets in whoever has Token.
type Config struct {
	// Authenticate answers an offer: with what the session starts from, or with a
	// *transport.RefusedError. nil takes Token, and refuses everything else as token_invalid.
	// Fields of the Bootstrap that are left empty are filled in.
	Authenticate func(o transport.Offer) (transport.Bootstrap, error)
	// Readmit answers a client that comes back; nil takes Token for a session that has not
	// ended.
	Readmit func(id eventabi.SessionID, token string) error
	// Clock is the time since the Host was made, for the calls that are noted; nil = real.
	Clock func() time.Duration
	// Disconnect is how long a session waits for a lost link before it closes it; 0 = 15 s,
	// as in simple/v1.
	Disconnect time.Duration
	// Stays keeps a session open that a caller has left; else it closes its link, as the
	// runtime does.
	Stays bool
	// Patience is how long an Await waits, and how long a call of a Link may take, before it
	// is a fault; 0 = 20 s. It is no measure of speed.
	Patience time.Duration
	// Tolerant leaves what is found wrong to Host.Faults, in place of failing the test.
	Tolerant bool
}

// Host is a transport.Host that does what a test tells it. Its methods may be called from
// any goroutine.
type Host struct {
	tb     testing.TB
	config Config
	began  time.Time

	mu       sync.Mutex
	offers   []transport.Offer
	sessions []*Session
	asked    int // by Next
	readmits []Readmission
	faults   []string
	changed  chan struct{} // closed at the next change
	count    int
}

// Readmission is a client that came back, and what it was told.
type Readmission struct {
	Session eventabi.SessionID
	Token   string
	Err     error
}

var _ transport.Host = (*Host)(nil)

// NewHost makes a Host for a test. When the test ends, sessions that are open are closed,
// and what was found wrong is reported.
func NewHost(tb testing.TB, c Config) *Host {
	tb.Helper()
	if c.Disconnect <= 0 {
		c.Disconnect = 15 * time.Second
	}
	if c.Patience <= 0 {
		c.Patience = 20 * time.Second
	}
	h := &Host{tb: tb, config: c, began: time.Now(), changed: make(chan struct{})}
	if h.config.Clock == nil {
		h.config.Clock = func() time.Duration { return time.Since(h.began) }
	}
	tb.Cleanup(func() {
		h.Close()
		if !c.Tolerant {
			for _, f := range h.Faults() {
				tb.Errorf("the adapter broke the contract: %s", f)
			}
		}
	})
	return h
}

// Begin answers an offer and has open bind the session.
func (h *Host) Begin(ctx context.Context, o transport.Offer, open transport.OpenFunc) (transport.Session, error) {
	h.examine(&o)
	h.mu.Lock()
	h.offers = append(h.offers, o)
	h.count++
	number := h.count
	h.mu.Unlock()
	defer h.change()
	b, err := h.authenticate(o)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fill(&b, o, number)
	s := newSession(h, b, o)
	link, err := open(ctx, b, s.ingress())
	switch {
	case err != nil && link != nil:
		h.fault("open gave a link together with the error %v", err)
		return nil, err
	case err != nil:
		s.finish("not_opened")
		return nil, err
	case link == nil:
		h.fault("open gave neither a link nor an error")
		return nil, &transport.RefusedError{Code: transport.RefusedInternal, Reason: "no link"}
	}
	s.begin(link)
	h.mu.Lock()
	h.sessions = append(h.sessions, s)
	h.mu.Unlock()
	return s, nil
}

// examine holds an offer to the contract.
func (h *Host) examine(o *transport.Offer) {
	if o.Kind == "" {
		h.fault("the offer names no kind")
	}
	switch o.Capabilities.Ack {
	case transport.AckEstimate, transport.AckClient, transport.AckGateway:
	default:
		h.fault("the offer's capabilities have the source of acknowledgements %q", o.Capabilities.Ack)
	}
	if len(o.Capabilities.CodecsIn) == 0 || len(o.Capabilities.CodecsOut) == 0 {
		h.fault("the offer's capabilities name no codecs")
	}
}

func (h *Host) authenticate(o transport.Offer) (transport.Bootstrap, error) {
	if h.config.Authenticate != nil {
		return h.config.Authenticate(o)
	}
	if o.Token != Token {
		return transport.Bootstrap{}, &transport.RefusedError{Code: transport.RefusedToken, Reason: "it is not the token of this test"}
	}
	return transport.Bootstrap{}, nil
}

// fill completes what a session starts from.
func fill(b *transport.Bootstrap, o transport.Offer, number int) {
	if b.SessionID == "" {
		b.SessionID = o.Session
	}
	if b.SessionID == "" {
		b.SessionID = eventabi.SessionID(fmt.Sprintf("session-%d", number))
	}
	if b.TenantID == "" {
		b.TenantID = "tenant-1"
	}
	if b.PipelineVersion == "" {
		b.PipelineVersion = "pipeline-1"
	}
	if b.Kind == "" {
		b.Kind = o.Kind
	}
	if b.Token == "" {
		b.Token = o.Token
	}
	if b.Epoch == 0 {
		b.Epoch = 1
	}
}

// Readmit answers a client that comes back.
func (h *Host) Readmit(_ context.Context, id eventabi.SessionID, token string) error {
	err := h.readmit(id, token)
	h.mu.Lock()
	h.readmits = append(h.readmits, Readmission{id, token, err})
	h.mu.Unlock()
	h.change()
	return err
}

func (h *Host) readmit(id eventabi.SessionID, token string) error {
	if h.config.Readmit != nil {
		return h.config.Readmit(id, token)
	}
	if token != Token {
		return &transport.RefusedError{Code: transport.RefusedToken, Reason: "it is not the token of this test"}
	}
	for _, s := range h.Sessions() {
		if s.ID() == id && !s.over() {
			return nil
		}
	}
	return &transport.RefusedError{Code: transport.RefusedUnknown, Reason: "there is no such session"}
}

// Offers gives the offers so far.
func (h *Host) Offers() []transport.Offer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]transport.Offer(nil), h.offers...)
}

// Readmissions gives who came back so far.
func (h *Host) Readmissions() []Readmission {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Readmission(nil), h.readmits...)
}

// Sessions gives the sessions that began so far, also those that are over.
func (h *Host) Sessions() []*Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*Session(nil), h.sessions...)
}

// Next waits for the next session to begin, and fails the test if none does: the first
// call gives the first session, and so on.
func (h *Host) Next() *Session {
	h.tb.Helper()
	var next *Session
	if !h.until(func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.asked < len(h.sessions) {
			next = h.sessions[h.asked]
			h.asked++
		}
		return next != nil
	}) {
		h.tb.Fatalf("no session began; offers %d", len(h.Offers()))
	}
	return next
}

// Faults are what was found wrong so far.
func (h *Host) Faults() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.faults...)
}

// maxFaults bounds what is reported: an adapter that is wrong is wrong often.
const maxFaults = 16

func (h *Host) fault(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.faults) < maxFaults {
		h.faults = append(h.faults, fmt.Sprintf(format, args...))
	}
}

// Close closes the sessions that are open.
func (h *Host) Close() {
	for _, s := range h.Sessions() {
		s.Close("test_over")
	}
}

// change wakes those who wait.
func (h *Host) change() {
	h.mu.Lock()
	close(h.changed)
	h.changed = make(chan struct{})
	h.mu.Unlock()
}

// until waits for something to be true; false when patience is over.
func (h *Host) until(is func() bool) bool {
	t := time.NewTimer(h.config.Patience)
	defer t.Stop()
	for {
		h.mu.Lock()
		changed := h.changed
		h.mu.Unlock()
		if is() {
			return true
		}
		select {
		case <-changed:
		case <-t.C:
			return is()
		}
	}
}
