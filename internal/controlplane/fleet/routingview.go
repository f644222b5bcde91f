// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
)

// ViewStaleness is how old a routing view may be (authority-state section 6).
const ViewStaleness = 10000 * time.Millisecond

// View says where sessions are served.
type View struct {
	Version      int64          `json:"view_version"`
	Active       string         `json:"active_endpoint"`
	Candidate    string         `json:"candidate_endpoint,omitempty"` // empty = nobody is about to take over
	Epoch        eventabi.Epoch `json:"lease_epoch"`
	IssuedAtMS   int64          `json:"issued_at_ms"` // Unix milliseconds
	MaxStaleness int64          `json:"max_staleness_ms"`
}

// Errors of routing views.
var (
	// ErrViewBehind is that a view goes back behind the one that is applied.
	ErrViewBehind = errors.New("fleet: the routing view is older than the one in force")
	// ErrViewStale is that the view in force is too old, or that there is none: refresh it
	// before anything is connected or moved.
	ErrViewStale = errors.New("fleet: the routing view is stale")
)

// Validate reports every fault at once.
func (v *View) Validate() error {
	var faults []error
	want := func(ok bool, field string, value any, remedy string) {
		if !ok {
			faults = append(faults, fmt.Errorf("fleet: routing view: %s: %v: %s", field, value, remedy))
		}
	}
	want(v.Version > 0, "view_version", v.Version, "use 1 or more")
	want(v.Active != "", "active_endpoint", `""`, "name the endpoint that serves")
	want(v.Candidate == "" || v.Candidate != v.Active, "candidate_endpoint", v.Candidate, "name another one, or none")
	want(v.Epoch > 0, "lease_epoch", v.Epoch, "use 1 or more")
	want(v.IssuedAtMS > 0, "issued_at_ms", v.IssuedAtMS, "use Unix milliseconds")
	want(v.MaxStaleness >= 0, "max_staleness_ms", v.MaxStaleness, "use 0 for the default, or a positive time")
	return errors.Join(faults...)
}

// Routes holds the view in force. Its methods may be called from any goroutine.
type Routes struct {
	mu   sync.Mutex
	view View
}

// Apply puts a view in force. Neither version nor epoch goes back; the same view again
// changes nothing. rotated says that the epoch rose: what the old one began is to be fenced
// before anything is connected by the new one.
func (r *Routes) Apply(v View) (rotated bool, err error) {
	if err := v.Validate(); err != nil {
		return false, err
	}
	if v.MaxStaleness == 0 {
		v.MaxStaleness = ViewStaleness.Milliseconds()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.view
	switch {
	case v.Version < before.Version || v.Epoch < before.Epoch:
		return false, fmt.Errorf("%w: version %d and epoch %d are in force, this has %d and %d", ErrViewBehind, before.Version, before.Epoch, v.Version, v.Epoch)
	case v.Version == before.Version && v != before:
		return false, fmt.Errorf("%w: version %d is in force with other contents", ErrViewBehind, before.Version)
	}
	r.view = v
	return before.Version > 0 && v.Epoch > before.Epoch, nil
}

// Current gives the view in force. One that is too old is refused: refresh it first.
func (r *Routes) Current(now time.Time) (View, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.view.Version == 0 {
		return View{}, fmt.Errorf("%w: there is none", ErrViewStale)
	}
	if age := now.UnixMilli() - r.view.IssuedAtMS; age > r.view.MaxStaleness {
		return View{}, fmt.Errorf("%w: it is %d ms old, at most %d", ErrViewStale, age, r.view.MaxStaleness)
	}
	return r.view, nil
}
