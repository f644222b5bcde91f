// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/transport"
)

// HostConfig is whom a Host lets in, and what it lets them choose.
type HostConfig struct {
	// Authenticate says whose offer it is. A *transport.RefusedError is the answer to the
	// client; any other error is kept from it. Tokens.Authenticate fits. Required.
	Authenticate func(ctx context.Context, o transport.Offer) (Grant, error)
	// Holds is asked every Recheck whether a grant still holds; an error ends its session,
	// at once and by decision (deauthorized_drain). nil = a grant holds until it expires.
	// Tokens.Holds fits.
	Holds func(g Grant) error
	// Ended is told of each session that began and has ended; nil = nobody. Tokens.Ended fits.
	Ended func(g Grant)
	// Grants is what clients may choose.
	Grants Grants
	// Recheck is how often grants are looked at; 0 = DefaultRecheck.
	Recheck time.Duration
	// ExpiryGrace is how long a session goes on when its grant has expired and was not
	// renewed; 0 = DefaultExpiryGrace.
	ExpiryGrace time.Duration
	// Record is the folder below which each session is recorded, in a folder of its own;
	// empty = none is.
	Record string
	// KeepEnded is how many sessions that ended are remembered; 0 = DefaultKeepEnded.
	KeepEnded int
	// Watch gives who is told what a session does, as Call.Observe; nil = nobody. It is
	// called before the session begins.
	Watch func(g Grant, kind transport.Kind) func(*Notice)
	// Refused is told of each offer that was turned down, without its token; nil = nobody.
	Refused func(o transport.Offer, err error)
}

// The defaults of a HostConfig.
const (
	DefaultRecheck = time.Second
	// DefaultExpiryGrace is long: a token says who may connect, and most clients have no way
	// to renew it during a call. Who is not welcome any more is revoked.
	DefaultExpiryGrace = time.Hour
	DefaultKeepEnded   = 200
)

// Validate reports all faults at once.
func (c *HostConfig) Validate() error {
	var faults []error
	if c.Authenticate == nil {
		faults = append(faults, errors.New("parley: host: authenticate: is missing: give a function, for example that of Tokens"))
	}
	for _, f := range [...]struct {
		name  string
		value time.Duration
	}{{"recheck", c.Recheck}, {"expiry_grace", c.ExpiryGrace}} {
		if f.value < 0 {
			faults = append(faults, fmt.Errorf("parley: host: %s: %v: use 0 for the default, or a positive time", f.name, f.value))
		}
	}
	if c.KeepEnded < 0 || c.KeepEnded > maxKeepEnded {
		faults = append(faults, fmt.Errorf("parley: host: keep_ended: %d: use 0 for the default, or 1 to %d", c.KeepEnded, maxKeepEnded))
	}
	return errors.Join(append(faults, c.Grants.validate()...)...)
}

const maxKeepEnded = 10000

// Grant is what a client was let in with.
type Grant struct {
	Session  eventabi.SessionID // empty = the offer's, or a random one
	Tenant   string             // empty = DefaultTenant
	Pipeline eventabi.PipelineVersion
	Epoch    eventabi.Epoch // 0 = 1
	TokenID  string         // for revocation; empty = it has none
	IssuedAt time.Time
	Expires  time.Time // zero = never
}

// Host lets clients in that adapters bring: it authenticates them, opens their sessions
// and watches their grants. Its methods may be called from any goroutine.
type Host struct {
	runtime *Runtime
	config  HostConfig

	mu       sync.Mutex
	guests   map[eventabi.SessionID]*guest
	ended    []SessionStatus // the newest at next-1, a ring when full
	next     int
	over     int64 // sessions that ended
	refusals map[transport.RefusalCode]int64
	gone     Traffic // of the sessions that ended
	draining bool

	stop    context.CancelFunc
	workers sync.WaitGroup
}

var (
	_ transport.Host    = (*Host)(nil)
	_ transport.Renewer = (*Host)(nil)
)

// Host makes a door to the runtime for adapters that listen. It watches its sessions until
// Close.
func (r *Runtime) Host(c HostConfig) (*Host, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Recheck == 0 {
		c.Recheck = DefaultRecheck
	}
	if c.ExpiryGrace == 0 {
		c.ExpiryGrace = DefaultExpiryGrace
	}
	if c.KeepEnded == 0 {
		c.KeepEnded = DefaultKeepEnded
	}
	h := &Host{runtime: r, config: c, guests: map[eventabi.SessionID]*guest{}, refusals: map[transport.RefusalCode]int64{}}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.workers.Go(func() { h.watch(ctx) })
	return h, nil
}

// Drain has the host take no more sessions; those that run go on.
func (h *Host) Drain() {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
}

// Close takes no more sessions and ends those that run, as Runtime.Close does; the runtime
// is closed with it. It returns when all have ended, or says what is left.
func (h *Host) Close(ctx context.Context) error {
	h.Drain()
	err := h.runtime.Close(ctx)
	h.stop()
	if err == nil { // else somebody does not return, and would not here either
		h.workers.Wait()
	}
	return err
}

// Begin lets a client in; see transport.Host.
func (h *Host) Begin(ctx context.Context, o transport.Offer, open transport.OpenFunc) (transport.Session, error) {
	g, err := h.begin(ctx, o, open)
	if err == nil {
		return g, nil
	}
	return nil, h.refuse(o, err)
}

func (h *Host) begin(ctx context.Context, o transport.Offer, open transport.OpenFunc) (*guest, error) {
	if h.isDraining() {
		return nil, draining()
	}
	if o.Kind == "" || open == nil {
		return nil, errors.New("parley: host: the offer names no transport, or nothing to bind it with")
	}
	if err := validWishes(&o.Wishes); err != nil {
		return nil, err
	}
	grant, err := h.authenticate(ctx, o)
	if err != nil {
		return nil, err
	}
	g := &guest{id: grant.Session, host: h, kind: o.Kind, remote: o.Remote, since: time.Now(), grant: grant, done: make(chan struct{})}
	if err := h.admit(g); err != nil {
		return nil, err
	}
	begun := false
	defer func() {
		if !begun { // also when the adapter has panicked: its session's name is free again
			h.remove(g)
			h.workers.Done()
		}
	}()
	x, err := h.start(ctx, g, &o, open)
	if err != nil {
		return nil, err
	}
	begun = true
	g.session.Store(x)
	go h.attend(g, x)
	return g, nil
}

// start opens the session of a guest.
func (h *Host) start(ctx context.Context, g *guest, o *transport.Offer, open transport.OpenFunc) (x *Session, err error) {
	call := h.call(g, o, open)
	call.Wishes = h.config.Grants.filter(o.Wishes, g.decline)
	if call.Record, err = h.folder(g); err != nil {
		return nil, err
	}
	x, err = start(ctx, &h.runtime.config, call, false, g.since, h.runtime.host.Open)
	if err == nil && call.Wishes.Tools != nil { // of the others its bootstrap tells
		x.Ingress().Configure(transport.Wishes{Tools: call.Wishes.Tools})
	}
	return x, err
}

// authenticate asks who it is, and gives the session a name.
func (h *Host) authenticate(ctx context.Context, o transport.Offer) (Grant, error) {
	grant, err := h.config.Authenticate(ctx, o)
	if err != nil {
		return Grant{}, err
	}
	switch {
	case grant.Session == "":
		grant.Session = o.Session
	case o.Session != "" && o.Session != grant.Session:
		return Grant{}, &transport.RefusedError{Code: transport.RefusedToken, Reason: "the token is for another session"}
	}
	if grant.Session == "" {
		grant.Session = eventabi.SessionID("s-" + token())
	}
	if !validSession(grant.Session) {
		return Grant{}, &transport.RefusedError{
			Code:   transport.RefusedInvalid,
			Reason: fmt.Sprintf("session: use 1 to %d characters of A-Z a-z 0-9 . _ : -", eventabi.MaxIDLength),
		}
	}
	fill(&grant.Tenant, DefaultTenant)
	if grant.Pipeline == "" {
		grant.Pipeline = DefaultPipeline
	}
	if grant.Epoch == 0 {
		grant.Epoch = 1
	}
	return grant, nil
}

// validSession says whether a name can be that of a session (authority-state section 5).
func validSession(id eventabi.SessionID) bool {
	return id != "" && len(id) <= eventabi.MaxIDLength && !strings.ContainsFunc(string(id), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._:-", r)
	})
}

// call is the conversation of a guest.
func (h *Host) call(g *guest, o *transport.Offer, open transport.OpenFunc) Call {
	call := Call{
		ID: string(g.grant.Session), Tenant: g.grant.Tenant, Pipeline: string(g.grant.Pipeline), Epoch: g.grant.Epoch,
		Transport: &offered{kind: o.Kind, capabilities: o.Capabilities, open: open, guest: g},
	}
	if h.config.Watch != nil {
		call.Observe = h.config.Watch(g.grant, o.Kind)
	}
	return call
}

// folder makes the folder that a session's recording comes to lie in.
func (h *Host) folder(g *guest) (string, error) {
	if h.config.Record == "" {
		return "", nil
	}
	// Of a name that is none for a folder everywhere the instant and chance remain.
	name := strings.NewReplacer(":", "_", ".", "_").Replace(string(g.id))
	folder := g.since.UTC().Format("20060102-150405.000") + "-" + name + "-" + token()[:4]
	g.mu.Lock()
	g.recording = folder
	g.mu.Unlock()
	dir := filepath.Join(h.config.Record, folder)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("parley: host: record: %w", err)
	}
	return filepath.Join(dir, "recording.parley"), nil
}

// offered is the offer of a client as an adapter of its one session.
type offered struct {
	kind         transport.Kind
	capabilities transport.Capabilities
	open         transport.OpenFunc
	guest        *guest
}

func (o *offered) Kind() transport.Kind                 { return o.kind }
func (o *offered) Capabilities() transport.Capabilities { return o.capabilities }

func (o *offered) Open(ctx context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	return o.open(ctx, b, &guarded{Ingress: in, guest: o.guest})
}

// guarded is a session's ingress as far as its client may use it.
type guarded struct {
	transport.Ingress
	guest *guest
}

// Configure hands on what is granted.
func (i *guarded) Configure(w transport.Wishes) {
	g := i.guest
	if err := validWishes(&w); err != nil {
		g.decline("invalid")
		return
	}
	granted := g.host.config.Grants.filter(w, g.decline)
	granted.Interrupt = nil // only before the session begins
	i.Ingress.Configure(granted)
}

// Readmit lets a client come back to its session; see transport.Host. A token that lasts
// longer than the one before takes its place.
func (h *Host) Readmit(ctx context.Context, id eventabi.SessionID, token string) error {
	return h.Renew(ctx, id, token)
}

// Renew puts a fresh token in the place of the one that a session runs under.
func (h *Host) Renew(ctx context.Context, id eventabi.SessionID, token string) error {
	h.mu.Lock()
	g := h.guests[id]
	h.mu.Unlock()
	if g == nil {
		return h.late(ctx, id, token)
	}
	o := transport.Offer{Kind: g.kind, Token: token, Session: id, Remote: g.remote}
	grant, err := h.authenticate(ctx, o)
	if err == nil {
		err = g.renew(grant)
	}
	if err != nil {
		return h.refuse(o, err)
	}
	return nil
}

// late answers who comes back to a session that is not open. That it was here is told to
// whose it was, and to nobody else.
func (h *Host) late(ctx context.Context, id eventabi.SessionID, token string) error {
	st, known := h.Status(id)
	o := transport.Offer{Kind: st.Transport, Token: token, Session: id, Remote: st.Remote}
	if known {
		grant, err := h.authenticate(ctx, o)
		if err != nil {
			return h.refuse(o, err)
		}
		if grant.Tenant == st.Tenant {
			return h.refuse(o, ended(st.Reason))
		}
	}
	return h.refuse(o, &transport.RefusedError{Code: transport.RefusedUnknown, Reason: "no session of this id is open here: begin a new one"})
}

// refuse turns an error into the answer to a client, and counts it.
func (h *Host) refuse(o transport.Offer, err error) error {
	answer := answerTo(err)
	h.mu.Lock()
	h.refusals[answer.Code]++
	h.mu.Unlock()
	if own := (*transport.RefusedError)(nil); !errors.As(err, &own) {
		err = fmt.Errorf("%w: %w", answer, err)
	}
	if h.config.Refused != nil {
		o.Token = ""
		h.config.Refused(o, err)
	}
	return err
}

// ended is the answer to who comes back to a session that is over. Its token is void with it.
func ended(reason string) *transport.RefusedError {
	why := "the session has ended"
	if reason != "" {
		why += " (" + reason + ")"
	}
	return &transport.RefusedError{Code: transport.RefusedEnded, Reason: why + ": begin a new one, with a fresh token"}
}

func draining() *transport.RefusedError {
	return &transport.RefusedError{Code: transport.RefusedDraining, Reason: "this host takes no new sessions: go to another one"}
}

// answerTo is what a client is told of an error.
func answerTo(err error) *transport.RefusedError {
	var own *transport.RefusedError
	var refusal *Refusal
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &refusal):
		return &transport.RefusedError{Code: transport.RefusedCapacity, Reason: refusal.Reason, RetryAfter: refusal.RetryAfter}
	case errors.Is(err, sessionhost.ErrClosed):
		return draining()
	case errors.Is(err, sessionhost.ErrSession):
		return &transport.RefusedError{Code: transport.RefusedInvalid, Reason: "session: one of this id is open: come back to it, or begin another"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &transport.RefusedError{Code: transport.RefusedInternal, Reason: "the session was not bound in time"}
	}
	return &transport.RefusedError{Code: transport.RefusedInternal, Reason: "the session could not begin"}
}
