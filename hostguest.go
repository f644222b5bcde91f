// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/transport"
)

// SessionState is how a session stands, for operations (lifecycle section 1).
type SessionState string

// The states of a session's status.
const (
	StateConnected SessionState = "connected"
	StateRunning   SessionState = "running"
	StateDegraded  SessionState = "degraded"
	StateEnded     SessionState = "ended"
)

// SessionStates lists them.
func SessionStates() []SessionState {
	return []SessionState{StateConnected, StateRunning, StateDegraded, StateEnded}
}

// SessionStatus is what a Host tells of one session.
type SessionStatus struct {
	ID        eventabi.SessionID       `json:"session_id"`
	Tenant    string                   `json:"tenant_id"`
	Pipeline  eventabi.PipelineVersion `json:"pipeline_version"`
	Transport transport.Kind           `json:"transport_kind"`
	Remote    string                   `json:"remote,omitempty"`
	Epoch     eventabi.Epoch           `json:"authority_epoch"`
	State     SessionState             `json:"state"`
	Since     time.Time                `json:"since"`
	Ended     *time.Time               `json:"ended,omitempty"`
	Reason    string                   `json:"reason,omitempty"` // of its end
	Turns     int64                    `json:"turns"`
	// Declined are the wishes that were not granted.
	Declined []string `json:"declined,omitempty"`
	// Expires is when its token ends; nil = never.
	Expires *time.Time `json:"token_expires,omitempty"`
	// Recording is the folder of its recording below HostConfig.Record; empty = none.
	Recording string `json:"recording,omitempty"`
	Traffic
}

// Traffic counts frames of 20 ms.
type Traffic struct {
	FramesIn         int64 `json:"frames_in"`
	FramesOut        int64 `json:"frames_out"`
	FramesAfterFence int64 `json:"frames_after_fence"` // zero, always
	// FramesMissing are the caller's that did not come in time, lost on the way or late, and
	// FramesConcealed those of them that were guessed.
	FramesMissing   int64 `json:"frames_missing"`
	FramesConcealed int64 `json:"frames_concealed"`
}

func (t *Traffic) add(o Traffic) {
	t.FramesIn += o.FramesIn
	t.FramesOut += o.FramesOut
	t.FramesAfterFence += o.FramesAfterFence
	t.FramesMissing += o.FramesMissing
	t.FramesConcealed += o.FramesConcealed
}

// guest is a session that a Host began, or is about to.
type guest struct {
	id      eventabi.SessionID
	host    *Host
	kind    transport.Kind
	remote  string
	since   time.Time
	done    chan struct{}
	session atomic.Pointer[Session]

	mu        sync.Mutex
	grant     Grant
	declined  []string
	recording string
	revoked   string // why; empty = it was not
}

// ID gives the session's id.
func (g *guest) ID() eventabi.SessionID { return g.id }

// Done is closed when the session is over and its link was closed.
func (g *guest) Done() <-chan struct{} { return g.done }

// Declined names the wishes that were not granted, for links that tell their client.
func (g *guest) Declined() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.declined)
}

func (g *guest) granted() Grant {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.grant
}

func (g *guest) decline(wish string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.declined, wish) { // of a closed set
		g.declined = append(g.declined, wish)
	}
}

// renew takes another grant for the same session.
func (g *guest) renew(fresh Grant) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	refuse := func(code transport.RefusalCode, reason string) error {
		return &transport.RefusedError{Code: code, Reason: reason}
	}
	switch {
	case g.revoked != "":
		return refuse(transport.RefusedRevoked, "the session was withdrawn")
	case fresh.Tenant != g.grant.Tenant:
		return refuse(transport.RefusedToken, "the token is another tenant's")
	case fresh.Pipeline != g.grant.Pipeline:
		return refuse(transport.RefusedToken, "the token is for another pipeline version")
	case fresh.Epoch < g.grant.Epoch:
		return refuse(transport.RefusedEpoch, string(controlplane.AuthorityStaleEpoch))
	case fresh.Epoch > g.grant.Epoch:
		return refuse(transport.RefusedEpoch, string(controlplane.AuthorityEpochAhead)+": refresh the route")
	case g.over():
		return ended("")
	}
	if fresh.Expires.IsZero() || !g.grant.Expires.IsZero() && fresh.Expires.After(g.grant.Expires) {
		g.grant = fresh
	}
	return nil
}

// over says that the guest's session has ended.
func (g *guest) over() bool {
	x := g.session.Load()
	if x == nil {
		return false
	}
	stands := x.Standing()
	return stateOf(&stands) == StateEnded
}

// status tells of the guest at an instant.
func (g *guest) status() SessionStatus {
	x := g.session.Load()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := SessionStatus{
		ID: g.id, Tenant: g.grant.Tenant, Pipeline: g.grant.Pipeline, Transport: g.kind, Remote: g.remote,
		Epoch: g.grant.Epoch, State: StateConnected, Since: g.since, Reason: g.revoked, Declined: slices.Clone(g.declined), Recording: g.recording,
	}
	if !g.grant.Expires.IsZero() {
		at := g.grant.Expires
		s.Expires = &at
	}
	if x == nil {
		return s
	}
	stands := x.Standing()
	s.Turns = stands.Turns
	s.Traffic = trafficOf(&stands)
	s.State = stateOf(&stands)
	return s
}

// stateOf is the projection of lifecycle section 1.
func stateOf(s *sessionhost.Standing) SessionState {
	switch s.State {
	case controlplane.SessionConnecting:
		return StateConnected
	case controlplane.SessionEnded:
		return StateEnded
	case controlplane.SessionActive, controlplane.SessionDraining:
	}
	if s.Degraded {
		return StateDegraded
	}
	return StateRunning
}

// revoke withdraws the session's authority, once.
func (g *guest) revoke(reason string) {
	g.mu.Lock()
	first := g.revoked == ""
	if first {
		g.revoked = reason
	}
	epoch := g.grant.Epoch
	g.mu.Unlock()
	if x := g.session.Load(); x != nil && first {
		x.Lease(epoch, true)
	}
}

// admit takes a guest into the list, and counts it as work of the host.
func (h *Host) admit(g *guest) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return draining()
	}
	if other := h.guests[g.id]; other != nil {
		if other.over() && other.granted().Tenant == g.granted().Tenant {
			return ended("") // and is about to be let go of
		}
		return fmt.Errorf("%w: %s", sessionhost.ErrSession, g.id)
	}
	h.guests[g.id] = g
	h.workers.Add(1)
	return nil
}

func (h *Host) remove(g *guest) {
	h.mu.Lock()
	delete(h.guests, g.id)
	h.mu.Unlock()
}

func (h *Host) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// attend waits for the end of a session and keeps what is left of it.
func (h *Host) attend(g *guest, x *Session) {
	defer h.workers.Done()
	<-x.Done()
	now := time.Now()
	s := g.status()
	s.State, s.Ended, s.Expires = StateEnded, &now, nil
	s.Reason = cmp.Or(x.Stats().Reason, s.Reason)
	if g.revokedFor() != "" {
		s.Reason = g.revokedFor()
	}
	if h.config.Ended != nil {
		h.config.Ended(g.granted())
	}
	h.mu.Lock()
	delete(h.guests, s.ID)
	h.over++
	h.gone.add(s.Traffic)
	if len(h.ended) < h.config.KeepEnded {
		h.ended = append(h.ended, s)
	} else {
		h.ended[h.next] = s
	}
	h.next = (h.next + 1) % h.config.KeepEnded
	h.mu.Unlock()
	close(g.done)
}

func (g *guest) revokedFor() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.revoked
}

// watch looks at every grant until the host closes.
func (h *Host) watch(ctx context.Context) {
	tick := time.NewTicker(h.config.Recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, g := range h.present() {
				h.recheck(g, now)
			}
		}
	}
}

func (h *Host) present() []*guest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.guests))
}

// recheck withdraws the authority of a session whose grant does not hold any more.
func (h *Host) recheck(g *guest, now time.Time) {
	if g.session.Load() == nil {
		return
	}
	grant := g.granted()
	if !grant.Expires.IsZero() && now.After(grant.Expires.Add(h.config.ExpiryGrace)) {
		g.revoke(string(controlplane.AuthorityTokenExpired))
		return
	}
	if h.config.Holds == nil {
		return
	}
	if err := h.config.Holds(grant); err != nil {
		g.revoke(string(controlplane.AuthorityDeauthorized))
	}
}

// Sessions gives the status of those that are open, the oldest first, and behind them of
// those that ended, the latest first.
func (h *Host) Sessions() []SessionStatus {
	list := []SessionStatus{}
	for _, g := range h.present() {
		list = append(list, g.status())
	}
	slices.SortFunc(list, func(a, b SessionStatus) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.ended {
		n := len(h.ended)
		list = append(list, h.ended[((h.next-1-i)%n+n)%n])
	}
	return list
}

// Status gives that of one session: of the open one of this id, or of the last that ended.
func (h *Host) Status(id eventabi.SessionID) (SessionStatus, bool) {
	for _, s := range h.Sessions() {
		if s.ID == id {
			return s, true
		}
	}
	return SessionStatus{}, false
}

// ErrUnknownSession says that no session of an id is open.
var ErrUnknownSession = errors.New("parley: host: no session of this id is open")

// End asks an open session to end: it drains.
func (h *Host) End(id eventabi.SessionID, reason string) error {
	x, err := h.open(id)
	if err == nil {
		x.session.Load().Close(reason)
	}
	return err
}

// Revoke withdraws the authority of an open session: a live turn is aborted, nothing of it
// is heard any more, and the session ends.
func (h *Host) Revoke(id eventabi.SessionID) error {
	g, err := h.open(id)
	if err == nil {
		g.revoke(string(controlplane.AuthorityDeauthorized))
	}
	return err
}

func (h *Host) open(id eventabi.SessionID) (*guest, error) {
	h.mu.Lock()
	g := h.guests[id]
	h.mu.Unlock()
	if g == nil || g.session.Load() == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknownSession, id)
	}
	return g, nil
}

// HostStats is what a Host counted since it began.
type HostStats struct {
	Draining bool
	Ended    int64 // sessions
	Refused  map[transport.RefusalCode]int64
	Traffic  Traffic // of all sessions
}

// Stats gives what was counted so far.
func (h *Host) Stats() HostStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := HostStats{Draining: h.draining, Ended: h.over, Refused: maps.Clone(h.refusals), Traffic: h.gone}
	for _, g := range h.guests {
		s.Traffic.add(g.traffic())
	}
	return s
}

// traffic is what went through the session so far.
func (g *guest) traffic() Traffic {
	x := g.session.Load()
	if x == nil {
		return Traffic{}
	}
	stands := x.Standing()
	return trafficOf(&stands)
}

func trafficOf(s *sessionhost.Standing) Traffic {
	return Traffic{
		FramesIn: s.FramesIn, FramesOut: s.FramesOut, FramesAfterFence: s.FramesAfterFence,
		FramesMissing: s.SamplesMissing / transport.FrameSamples, FramesConcealed: s.SamplesConcealed / transport.FrameSamples,
	}
}
