// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"slices"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
)

// MaxRevocations bounds what is remembered of tokens that are void.
const MaxRevocations = 1 << 17

// Revocations remember which tokens are void before their time: single ones, those of a
// session, those of a tenant, and those of sessions that ended. Each word counts for the
// tokens that were issued up to then, and is forgotten when all of them have expired. When
// there is no room for more the older half is forgotten, and every token as old as it
// counts as void. Methods may be called from any goroutine.
type Revocations struct {
	keep time.Duration // after which no token of before is valid
	most int

	mu    sync.Mutex
	void  map[subject]time.Time // up to which issue they are
	floor time.Time             // up to which issue all are
}

// subject is whose tokens are void.
type subject struct {
	kind   subjectKind
	tenant string
	id     string
}

type subjectKind uint8

const (
	ofToken subjectKind = iota
	ofSession
	ofTenant
	ofEnded
)

// NewRevocations remembers nothing; keep is how long a token can be valid at most.
func NewRevocations(keep time.Duration) *Revocations {
	return &Revocations{keep: keep, most: MaxRevocations, void: map[subject]time.Time{}}
}

// Token voids a token by its jti.
func (r *Revocations) Token(jti string, now time.Time) { r.add(subject{kind: ofToken, id: jti}, now) }

// Session voids the tokens of a session.
func (r *Revocations) Session(tenant string, id eventabi.SessionID, now time.Time) {
	r.add(subject{ofSession, tenant, string(id)}, now)
}

// Tenant voids the tokens of a tenant.
func (r *Revocations) Tenant(tenant string, now time.Time) {
	r.add(subject{kind: ofTenant, tenant: tenant}, now)
}

// Ended says that a session has ended: what was issued for it can begin no other.
func (r *Revocations) Ended(tenant string, id eventabi.SessionID, now time.Time) {
	r.add(subject{ofEnded, tenant, string(id)}, now)
}

// Len counts what is remembered.
func (r *Revocations) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.void)
}

func (r *Revocations) add(s subject, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.void[s]; !known && len(r.void) >= r.most {
		r.makeRoom(now)
	}
	r.void[s] = now
}

// makeRoom forgets what has no effect any more, and if that is too little the older half.
// The lock is held.
func (r *Revocations) makeRoom(now time.Time) {
	for s, at := range r.void {
		if now.Sub(at) > r.keep {
			delete(r.void, s)
		}
	}
	if len(r.void) < r.most-r.most/4 {
		return
	}
	times := make([]time.Time, 0, len(r.void))
	for _, at := range r.void {
		times = append(times, at)
	}
	slices.SortFunc(times, time.Time.Compare)
	r.floor = times[len(times)/2]
	for s, at := range r.void {
		if !at.After(r.floor) {
			delete(r.void, s)
		}
	}
}

// voidness is why a token is void.
type voidness uint8

const (
	voidNot voidness = iota
	voidRevoked
	voidEnded
)

// Void says whether a token with these claims is void: that it was withdrawn, or that its
// session has ended.
func (r *Revocations) Void(c *Claims, now time.Time) (revoked, ended bool) {
	v := r.verdict(c, now)
	return v == voidRevoked, v == voidEnded
}

func (r *Revocations) verdict(c *Claims, now time.Time) voidness {
	issued := time.Unix(c.IssuedAt, 0) // whole seconds: one of the same second is meant as well
	r.mu.Lock()
	defer r.mu.Unlock()
	hit := func(s subject) bool {
		at, known := r.void[s]
		return known && now.Sub(at) <= r.keep && !issued.After(at)
	}
	switch {
	case hit(subject{kind: ofToken, id: c.ID}), hit(subject{ofSession, c.Tenant, string(c.Session)}), hit(subject{kind: ofTenant, tenant: c.Tenant}):
		return voidRevoked
	case hit(subject{ofEnded, c.Tenant, string(c.Session)}), !issued.After(r.floor):
		return voidEnded
	}
	return voidNot
}
