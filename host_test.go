// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/controlplane/fleet"
	"github.com/parley-voice/parley/internal/observability/replay"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
)

// quiet never hears speech.
type quiet struct{}

func (quiet) Probability(*[vad.FrameSamples]int16) float32 { return 0 }
func (quiet) Reset()                                       {}

func hostRuntime(t *testing.T, change func(*Config)) *Runtime {
	t.Helper()
	c := config()
	c.MaxSessions = 8
	if change != nil {
		change(&c)
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func config() Config {
	return Config{
		STT: &providertest.FakeSTT{}, LLM: &providertest.FakeLLM{}, TTS: &providertest.FakeTTS{},
		Endpointer: func() (node.Node, error) { return vad.NewEndpointNode(quiet{}, vad.EndpointerConfig{}) },
		Segmenter:  func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
	}
}

func tokens(t *testing.T) *Tokens {
	t.Helper()
	k, err := fleet.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x, err := newTokens(fleet.Keys{k}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func open(t *testing.T, x *Tokens, change func(*HostConfig)) *Host {
	t.Helper()
	c := HostConfig{Authenticate: x.Authenticate, Holds: x.Holds, Ended: x.Ended, Recheck: time.Millisecond}
	if change != nil {
		change(&c)
	}
	h, err := hostRuntime(t, nil).Host(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer stop()
		if err := h.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

// wire is a link that keeps what it is told.
type wire struct {
	mu      sync.Mutex
	in      transport.Ingress
	boot    transport.Bootstrap
	signals []string
	reason  string
}

func (w *wire) open(_ context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in, w.boot = in, b
	return w, nil
}

func (w *wire) WriteFrame(*transport.Frame) error { return nil }
func (w *wire) Fence(transport.Fence)             {}

func (w *wire) Close(reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reason = reason
	return nil
}

func (w *wire) WriteSignal(e *eventabi.Envelope) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.signals = append(w.signals, string(e.Signal))
}

func (w *wire) told(signal string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.signals, signal)
}

func offer(token string) transport.Offer {
	return transport.Offer{Kind: "websocket", Token: token, Remote: "127.0.0.1:5"}
}

func issue(t *testing.T, x *Tokens, c TokenClaims) string {
	t.Helper()
	c.Transport = "websocket"
	text, _, err := x.Issue(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eventually waits for what other goroutines do, without a statement of how long it takes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: it does not come", what)
		}
	}
}

func done(t *testing.T, s transport.Session) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the session does not end")
	}
}

func refusal(err error) transport.RefusalCode {
	var r *transport.RefusedError
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

// A client with a token gets the session that the token names, with its tenant, pipeline
// and epoch; when it has ended the token is worth nothing (authority-state section 6).
func TestHostBegin(t *testing.T) {
	x := tokens(t)
	record := t.TempDir()
	h := open(t, x, func(c *HostConfig) { c.Record = record })
	token := issue(t, x, TokenClaims{Tenant: "acme", Session: "call.7", Pipeline: "voice-2", Epoch: 4})
	w := &wire{}
	s, err := h.Begin(t.Context(), offer(token), w.open)
	if err != nil {
		t.Fatal(err)
	}
	if s.ID() != "call.7" || w.boot.SessionID != "call.7" || w.boot.TenantID != "acme" || w.boot.PipelineVersion != "voice-2" || w.boot.Epoch != 4 || w.boot.Token != "" {
		t.Errorf("session %s begins from %+v", s.ID(), w.boot)
	}
	eventually(t, "connected", func() bool { return w.told("connected") })
	status, ok := h.Status("call.7")
	if !ok || status.State != StateRunning || status.Tenant != "acme" || status.Transport != "websocket" || status.Expires == nil {
		t.Errorf("its status is %+v", status)
	}
	if _, err := h.Begin(t.Context(), offer(token), (&wire{}).open); refusal(err) != transport.RefusedInvalid {
		t.Errorf("a second session of that id: %v", err)
	}
	w.in.Text("hello there", "k1")
	eventually(t, "a turn", func() bool { s, _ := h.Status("call.7"); return s.Turns == 1 })
	w.in.Hangup("client_left")
	done(t, s)
	status, ok = h.Status("call.7")
	if !ok || status.State != StateEnded || status.Reason != "client_left" || status.Ended == nil || status.Turns != 1 || w.reason == "" {
		t.Errorf("its status is %+v", status)
	}
	if _, err := h.Begin(t.Context(), offer(token), (&wire{}).open); refusal(err) != transport.RefusedEnded || !strings.Contains(err.Error(), "fresh token") {
		t.Errorf("the token of a session that ended: %v", err)
	}
	dir := filepath.Join(record, status.Recording, "recording.parley")
	if report, err := replay.Run(dir, time.Now); err != nil || report.Divergence != nil || report.Decisions == 0 {
		t.Errorf("its recording: %+v, %v", report, err)
	}
	if stats := h.Stats(); stats.Ended != 1 || stats.Refused[transport.RefusedInvalid] != 1 || stats.Refused[transport.RefusedEnded] != 1 {
		t.Errorf("counted: %+v", stats)
	}
}

// Each way of being turned away has its code, and binds nothing.
func TestHostRefusals(t *testing.T) {
	x := tokens(t)
	var told []error
	h := open(t, x, func(c *HostConfig) {
		c.Refused = func(o transport.Offer, err error) {
			if o.Token != "" {
				t.Error("who is told of a refusal is told the token")
			}
			told = append(told, err)
		}
	})
	good := issue(t, x, TokenClaims{Session: "s-1"})
	long := strings.Repeat("x", MaxInstructions+1)
	revoked := issue(t, x, TokenClaims{Session: "s-2", ID: "t-2"})
	x.RevokeToken("t-2")
	rows := []struct {
		offer transport.Offer
		code  transport.RefusalCode
	}{
		{offer(""), transport.RefusedToken},
		{offer("garbage"), transport.RefusedToken},
		{offer(good[:len(good)-4] + "AAAA"), transport.RefusedToken},
		{offer(revoked), transport.RefusedRevoked},
		{transport.Offer{Kind: "rtvi", Token: good}, transport.RefusedToken},
		{transport.Offer{Kind: "websocket", Token: good, Session: "s-9"}, transport.RefusedToken},
		{transport.Offer{Token: good}, transport.RefusedInternal},
		{transport.Offer{Kind: "websocket", Token: good, Wishes: transport.Wishes{Instructions: &long}}, transport.RefusedInvalid},
		{transport.Offer{Kind: "websocket", Token: good, Wishes: transport.Wishes{TurnEnd: "telepathy"}}, transport.RefusedInvalid},
		{transport.Offer{Kind: "websocket", Token: good, Wishes: transport.Wishes{Tools: []transport.Tool{{}}}}, transport.RefusedInvalid},
	}
	never := func(context.Context, transport.Bootstrap, transport.Ingress) (transport.Link, error) {
		t.Error("an offer that is refused is bound")
		return nil, errors.New("no")
	}
	for i, r := range rows {
		if _, err := h.Begin(t.Context(), r.offer, never); refusal(err) != r.code {
			t.Errorf("offer %d: %v, want %s", i, err, r.code)
		}
	}
	if len(told) != len(rows) {
		t.Errorf("%d refusals were told", len(told))
	}
	secret := errors.New("disk 7 is full")
	_, err := h.Begin(t.Context(), offer(good), func(context.Context, transport.Bootstrap, transport.Ingress) (transport.Link, error) {
		return nil, secret
	})
	var answer *transport.RefusedError
	if !errors.As(err, &answer) || answer.Code != transport.RefusedInternal || strings.Contains(answer.Error(), "disk") || !errors.Is(err, secret) {
		t.Errorf("a link that cannot be bound: %v", err)
	}
	codec := &transport.RefusedError{Code: transport.RefusedCodec, Supported: []string{"pcm_s16le"}}
	if _, err := h.Begin(t.Context(), offer(good), func(context.Context, transport.Bootstrap, transport.Ingress) (transport.Link, error) {
		return nil, codec
	}); refusal(err) != transport.RefusedCodec {
		t.Errorf("a link without a codec: %v", err)
	}
	if len(h.Sessions()) != 0 {
		t.Errorf("left over: %+v", h.Sessions())
	}
	h.Drain()
	if _, err := h.Begin(t.Context(), offer(good), never); refusal(err) != transport.RefusedDraining {
		t.Errorf("while draining: %v", err)
	}
}

// An adapter that panics while it binds a session costs that session and nothing else: its
// name and its place are free again, and the host closes.
func TestHostBeginPanics(t *testing.T) {
	x := tokens(t)
	h := open(t, x, nil)
	text := issue(t, x, TokenClaims{Session: "s-1"})
	for range 10 { // more than there are places
		func() {
			defer func() {
				if recover() == nil {
					t.Error("it is kept from the adapter")
				}
			}()
			_, _ = h.Begin(t.Context(), offer(text), func(context.Context, transport.Bootstrap, transport.Ingress) (transport.Link, error) {
				panic("a bug in an adapter")
			})
		}()
	}
	if _, err := h.Begin(t.Context(), offer(text), (&wire{}).open); err != nil {
		t.Error(err)
	}
}

// What a quota refuses is refused to the client with the time to come again.
func TestHostCapacity(t *testing.T) {
	x := tokens(t)
	r := hostRuntime(t, func(c *Config) {
		c.Quotas = Quotas{Quotas: []Quota{{Scope: "tenant", Limit: "concurrent_sessions", Max: 1, Action: "defer", RetryAfterMS: 2500}}}
	})
	h, err := r.Host(HostConfig{Authenticate: x.Authenticate})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(t.Context())
	w := &wire{}
	s, err := h.Begin(t.Context(), offer(issue(t, x, TokenClaims{})), w.open)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Begin(t.Context(), offer(issue(t, x, TokenClaims{})), (&wire{}).open)
	var answer *transport.RefusedError
	if !errors.As(err, &answer) || answer.Code != transport.RefusedCapacity || answer.RetryAfter != 2500*time.Millisecond || !strings.Contains(answer.Reason, "concurrent_sessions") {
		t.Errorf("the second session: %v", err)
	}
	w.in.Hangup("")
	done(t, s)
}

// A session whose token is withdrawn, or has expired and was not renewed, loses its
// authority: a decision, and the end (authority-state section 2).
func TestHostRecheck(t *testing.T) {
	for name, row := range map[string]struct {
		grace  time.Duration
		act    func(h *Host, x *Tokens)
		reason string
	}{
		"token":   {time.Hour, func(_ *Host, x *Tokens) { x.RevokeToken("t-1") }, "deauthorized"},
		"session": {time.Hour, func(_ *Host, x *Tokens) { x.RevokeSession("acme", "s-1") }, "deauthorized"},
		"tenant":  {time.Hour, func(_ *Host, x *Tokens) { x.RevokeTenant("acme") }, "deauthorized"},
		"by hand": {time.Hour, func(h *Host, _ *Tokens) {
			if err := h.Revoke("s-1"); err != nil {
				t.Error(err)
			}
		}, "deauthorized"},
		"expired": {time.Millisecond, func(h *Host, _ *Tokens) {
			g := h.present()[0]
			g.mu.Lock()
			g.grant.Expires = time.Now().Add(-time.Minute)
			g.mu.Unlock()
		}, "token_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			x := tokens(t)
			h := open(t, x, func(c *HostConfig) { c.ExpiryGrace = row.grace })
			w := &wire{}
			token := issue(t, x, TokenClaims{Tenant: "acme", Session: "s-1", ID: "t-1"})
			s, err := h.Begin(t.Context(), offer(token), w.open)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "connected", func() bool { return w.told("connected") })
			row.act(h, x)
			done(t, s)
			status, _ := h.Status("s-1")
			if !w.told("deauthorized_drain") || status.Reason != row.reason || status.State != StateEnded {
				t.Errorf("the client was told %v, the status is %+v", w.signals, status)
			}
			want := transport.RefusedRevoked // its token was withdrawn
			if name == "by hand" || name == "expired" {
				want = transport.RefusedEnded
			}
			for what, err := range map[string]error{
				"coming back to it": h.Readmit(t.Context(), "s-1", token), "beginning it again": again(t, h, token),
			} {
				if refusal(err) != want {
					t.Errorf("%s: %v; want %s", what, err, want)
				}
			}
			stranger := issue(t, x, TokenClaims{Tenant: "umbrella", Session: "s-1"})
			if err := h.Readmit(t.Context(), "s-1", stranger); refusal(err) != transport.RefusedUnknown {
				t.Errorf("another tenant is told of it: %v", err)
			}
		})
	}
}

// again begins a session, and ends it if it is let in.
func again(t *testing.T, h *Host, token string) error {
	t.Helper()
	w := &wire{}
	s, err := h.Begin(t.Context(), offer(token), w.open)
	if err == nil {
		w.in.Hangup("")
		done(t, s)
	}
	return err
}

// A session that is over and is not let go of yet is told to be over, by each way back.
func TestHostEndedAndPresent(t *testing.T) {
	x := tokens(t)
	hold := make(chan struct{})
	ending := make(chan struct{})
	h := open(t, x, func(c *HostConfig) {
		c.Ended = func(Grant) { // before the tokens are void, and the session off the list
			close(ending)
			<-hold
		}
	})
	w := &wire{}
	token := issue(t, x, TokenClaims{Tenant: "acme", Session: "s-1"})
	s, err := h.Begin(t.Context(), offer(token), w.open)
	if err != nil {
		t.Fatal(err)
	}
	w.in.Hangup("")
	<-ending
	if st, _ := h.Status("s-1"); st.State != StateEnded {
		t.Errorf("the status is %+v", st)
	}
	for what, err := range map[string]error{"coming back": h.Readmit(t.Context(), "s-1", token), "beginning it again": again(t, h, token)} {
		if refusal(err) != transport.RefusedEnded {
			t.Errorf("%s: %v; want %s", what, err, transport.RefusedEnded)
		}
	}
	close(hold)
	done(t, s)
}

// Who comes back has to show a token of the same session, tenant and epoch; a fresh one
// takes the place of the one before.
func TestHostReadmit(t *testing.T) {
	x := tokens(t)
	var later atomic.Int64
	x.now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	h := open(t, x, nil)
	w := &wire{}
	first := issue(t, x, TokenClaims{Tenant: "acme", Session: "s-1", Epoch: 2})
	s, err := h.Begin(t.Context(), offer(first), w.open)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := h.Status("s-1")
	later.Store(int64(time.Minute))
	claims := func(change func(*TokenClaims)) string {
		c := TokenClaims{Tenant: "acme", Session: "s-1", Epoch: 2}
		if change != nil {
			change(&c)
		}
		return issue(t, x, c)
	}
	for name, row := range map[string]struct {
		id    eventabi.SessionID
		token string
		code  transport.RefusalCode
	}{
		"the token it began with": {"s-1", first, ""},
		"a fresh one":             {"s-1", claims(nil), ""},
		"another session's":       {"s-1", claims(func(c *TokenClaims) { c.Session = "s-2" }), transport.RefusedToken},
		"another tenant's":        {"s-1", claims(func(c *TokenClaims) { c.Tenant = "umbrella" }), transport.RefusedToken},
		"another pipeline's":      {"s-1", claims(func(c *TokenClaims) { c.Pipeline = "voice-9" }), transport.RefusedToken},
		"of an epoch before":      {"s-1", claims(func(c *TokenClaims) { c.Epoch = 1 }), transport.RefusedEpoch},
		"of an epoch to come":     {"s-1", claims(func(c *TokenClaims) { c.Epoch = 3 }), transport.RefusedEpoch},
		"none":                    {"s-1", "", transport.RefusedToken},
		"no such session":         {"s-5", claims(nil), transport.RefusedUnknown},
	} {
		if err := h.Readmit(t.Context(), row.id, row.token); refusal(err) != row.code || (err == nil) != (row.code == "") {
			t.Errorf("%s: %v, want %q", name, err, row.code)
		}
	}
	after, _ := h.Status("s-1")
	if !after.Expires.After(*before.Expires) {
		t.Errorf("the session's token ends at %v, and before at %v", after.Expires, before.Expires)
	}
	w.in.Hangup("")
	done(t, s)
}

// What a client wishes is granted or left, before the session and during it.
func TestHostWishes(t *testing.T) {
	yes, no, text, voice, other, language := true, false, "Be brief.", "slt", "rms", "en-GB"
	wishes := transport.Wishes{
		Instructions: &text, Voice: &voice, Language: &language, TurnEnd: transport.TurnEndClient, Answer: &no, Interrupt: &no, TextOnly: &yes,
		Tools: []transport.Tool{{Name: "clock"}},
	}
	var declined []string
	note := func(name string) { declined = append(declined, name) }
	all := Grants{Instructions: true, Voices: []string{"slt"}, Languages: []string{AnyOf}, TurnEnd: true, Answer: true, Interrupt: true, TextOnly: true, Tools: true}
	got := all.filter(wishes, note)
	if !reflect.DeepEqual(got, wishes) || len(declined) > 0 {
		t.Errorf("granted: %+v, declined %v", got, declined)
	}
	c := config()
	set := settings(&c, Call{Transport: &offered{}, Wishes: got})
	if b := set.Bootstrap.Settings; set.SystemPrompt != text || set.Voice != "slt" || set.Language != "en-GB" || b.Policy.Interruption != "off" || b.TurnEnd != "client" || !b.AnswerAsked || !b.TextOnly {
		t.Errorf("the session begins with %q, %q, %q, %+v", set.SystemPrompt, set.Voice, set.Language, b)
	}
	if got := (&Grants{}).filter(wishes, note); !reflect.DeepEqual(got, transport.Wishes{}) {
		t.Errorf("not granted: %+v", got)
	}
	if want := []string{"instructions", "voice", "language", "turn_end", "answer", "interrupt", "text_only", "tools"}; !slices.Equal(declined, want) {
		t.Errorf("declined: %v", declined)
	}
	declined = nil
	if got := all.filter(transport.Wishes{Voice: &other}, note); got.Voice != nil || !slices.Equal(declined, []string{"voice"}) {
		t.Errorf("a voice that is not listed: %+v, %v", got, declined)
	}

	x := tokens(t)
	h := open(t, x, func(c *HostConfig) { c.Grants = Grants{TurnEnd: true} })
	w := &wire{}
	o := offer(issue(t, x, TokenClaims{Session: "s-1"}))
	o.Wishes.Instructions = &text
	s, err := h.Begin(t.Context(), o, w.open)
	if err != nil {
		t.Fatal(err)
	}
	seen := &configured{}
	w.in.(*guarded).Ingress = seen
	w.in.Configure(wishes)
	w.in.Configure(transport.Wishes{TurnEnd: "telepathy"})
	if len(seen.wishes) != 1 || seen.wishes[0].TurnEnd != transport.TurnEndClient || seen.wishes[0].Instructions != nil || seen.wishes[0].Interrupt != nil {
		t.Errorf("the session was told %+v", seen.wishes)
	}
	status, _ := h.Status("s-1")
	if !slices.Contains(status.Declined, "instructions") || !slices.Contains(status.Declined, "invalid") {
		t.Errorf("declined: %v", status.Declined)
	}
	if err := h.End("s-1", "enough"); err != nil {
		t.Error(err)
	}
	done(t, s)
	if err := h.End("s-1", "again"); !errors.Is(err, ErrUnknownSession) {
		t.Errorf("ending it twice: %v", err)
	}
}

// configured keeps what it is told to change.
type configured struct {
	transport.Ingress
	wishes []transport.Wishes
}

func (c *configured) Configure(w transport.Wishes) { c.wishes = append(c.wishes, w) }

// The list of sessions is bounded: those that ended longest ago are forgotten.
func TestHostKeepsEnded(t *testing.T) {
	x := tokens(t)
	h := open(t, x, func(c *HostConfig) { c.KeepEnded = 2 })
	for _, id := range []eventabi.SessionID{"a", "b", "c"} {
		w := &wire{}
		s, err := h.Begin(t.Context(), offer(issue(t, x, TokenClaims{Session: id})), w.open)
		if err != nil {
			t.Fatal(err)
		}
		w.in.Hangup("")
		done(t, s)
	}
	var ids []string
	for _, s := range h.Sessions() {
		ids = append(ids, string(s.ID))
	}
	if strings.Join(ids, " ") != "c b" || h.Stats().Ended != 3 {
		t.Errorf("remembered: %v, %d ended", ids, h.Stats().Ended)
	}
}

// Clients that come while the host closes are let in and end, or are refused; nobody is
// left, and nothing waits for ever.
func TestHostCloseWhileBeginning(t *testing.T) {
	x := tokens(t)
	h, err := hostRuntime(t, func(c *Config) { c.MaxSessions = 100 }).Host(HostConfig{Authenticate: x.Authenticate, Ended: x.Ended, Recheck: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	for range 40 {
		token := issue(t, x, TokenClaims{})
		clients.Go(func() {
			s, err := h.Begin(t.Context(), offer(token), (&wire{}).open)
			if err == nil {
				<-s.Done()
			} else if code := refusal(err); code != transport.RefusedDraining && code != transport.RefusedInternal {
				t.Errorf("refused with %v", err)
			}
		})
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	clients.Wait()
	for _, s := range h.Sessions() {
		if s.State != StateEnded {
			t.Errorf("left over: %+v", s)
		}
	}
	if err := h.Close(t.Context()); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// A link that does not return from its close is told of, and holds nobody up for ever.
func TestHostCloseHeldUp(t *testing.T) {
	x := tokens(t)
	h, err := hostRuntime(t, nil).Host(HostConfig{Authenticate: x.Authenticate})
	if err != nil {
		t.Fatal(err)
	}
	stuck := &stuckWire{release: make(chan struct{})}
	s, err := h.Begin(t.Context(), offer(issue(t, x, TokenClaims{})), stuck.open)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := h.Close(ctx); err == nil {
		t.Error("a session that cannot end is not told of")
	}
	close(stuck.release)
	done(t, s)
}

type stuckWire struct {
	wire
	release chan struct{}
}

func (w *stuckWire) open(ctx context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	if _, err := w.wire.open(ctx, b, in); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *stuckWire) Close(string) error {
	<-w.release
	return nil
}

// Every fault of a configuration at once.
func TestHostConfigValidate(t *testing.T) {
	_, err := hostRuntime(t, nil).Host(HostConfig{Recheck: -1, ExpiryGrace: -1, KeepEnded: -1, Grants: Grants{Voices: []string{""}}})
	for _, field := range []string{"authenticate", "recheck", "expiry_grace", "keep_ended", "grants.voices"} {
		if err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s is not in %v", field, err)
		}
	}
}

// The states of lifecycle section 1, as operations see them.
func TestStateOf(t *testing.T) {
	for _, row := range []struct {
		stands sessionhost.Standing
		want   SessionState
	}{
		{sessionhost.Standing{State: "CONNECTING"}, StateConnected},
		{sessionhost.Standing{State: "ACTIVE"}, StateRunning},
		{sessionhost.Standing{State: "ACTIVE", Degraded: true}, StateDegraded},
		{sessionhost.Standing{State: "DRAINING"}, StateRunning},
		{sessionhost.Standing{State: "ENDED", Degraded: true}, StateEnded},
	} {
		if got := stateOf(&row.stands); got != row.want {
			t.Errorf("%+v is %s", row.stands, got)
		}
	}
}

// A session that is recorded leaves nothing where it was refused before it began.
func TestHostRecordsOnlySessions(t *testing.T) {
	x := tokens(t)
	record := filepath.Join(t.TempDir(), "calls")
	h := open(t, x, func(c *HostConfig) { c.Record = record })
	if _, err := h.Begin(t.Context(), offer("garbage"), (&wire{}).open); err == nil {
		t.Error("garbage is let in")
	}
	if _, err := os.Stat(record); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused client has left something: %v", err)
	}
}
