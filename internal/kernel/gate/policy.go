// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/parley-voice/parley/api/controlplane"
)

// Policy is the quotas of a host: those of every tenant, and what single tenants have
// otherwise.
type Policy struct {
	Quotas  []Quota
	Tenants map[string][]Override
}

// Override changes fields of one quota for a tenant; a field that is nil keeps the value
// of everybody (authority-state section 7: overrides replace defaults field by field).
type Override struct {
	Scope            Scope
	Limit            Limit
	Max              *int64
	Action           *Action
	HeadroomPerMille *int64
	RetryAfterMS     *int64
}

func (o *Override) over(q Quota) Quota {
	q.Scope, q.Limit = o.Scope, o.Limit
	replace(&q.Max, o.Max)
	replace(&q.Action, o.Action)
	replace(&q.HeadroomPerMille, o.HeadroomPerMille)
	replace(&q.RetryAfterMS, o.RetryAfterMS)
	return q
}

func replace[T any](field *T, by *T) {
	if by != nil {
		*field = *by
	}
}

// For gives the quotas of a tenant. The policy is valid.
func (p *Policy) For(tenant string) Quotas {
	var q Quotas
	for _, one := range p.Quotas {
		q.Set(one)
	}
	for i := range p.Tenants[tenant] {
		o := &p.Tenants[tenant][i]
		q.Set(o.over(p.base(o.Scope, o.Limit)))
	}
	return q
}

// base is what everybody has of a limit; one without a bound still has its other fields.
func (p *Policy) base(s Scope, l Limit) Quota {
	for _, q := range p.Quotas {
		if q.Scope == s && q.Limit == l {
			return q
		}
	}
	return Quota{}
}

// QuotaError names a value of a quota that cannot be enforced.
type QuotaError struct {
	Tenant string // whose override it is; empty = everybody's
	Scope  Scope
	Limit  Limit
	Field  string
	Value  string
	Want   string
}

func (e *QuotaError) Error() string {
	whose := ""
	if e.Tenant != "" {
		whose = " of tenant " + e.Tenant
	}
	return fmt.Sprintf("gate: quota %s:%s%s: %s is %q: give %s", e.Scope, e.Limit, whose, e.Field, e.Value, e.Want)
}

// The bounds of what may be set.
const (
	// MaxQuota is the largest Max: a share of it in per mille still fits 64 bits.
	MaxQuota = 1_000_000_000_000
	// maxRetryAfterSet is an hour: who has to wait longer was rejected.
	maxRetryAfterSet = 3_600_000
)

// Validate reports every value of a quota that cannot be enforced, each a QuotaError.
// allowed is what plans permit: a quota cannot degrade where a plan may not.
func (q *Quota) Validate(allowed []controlplane.AdaptiveAction) error {
	var faults []error
	fault := func(field, value, want string) {
		faults = append(faults, &QuotaError{Scope: q.Scope, Limit: q.Limit, Field: field, Value: value, Want: want})
	}
	within := func(field string, v, high int64) {
		if v < 0 || v > high {
			fault(field, strconv.FormatInt(v, 10), fmt.Sprintf("a whole number from 0 to %d", high))
		}
	}
	scopes, limits := Scopes(), Limits()
	switch {
	case !slices.Contains(scopes[:], q.Scope):
		fault("scope", string(q.Scope), "tenant, session or turn")
	case !slices.Contains(limits[:], q.Limit):
		fault("limit", string(q.Limit), fmt.Sprintf("one of %v", limits))
	case !Applies(q.Limit, q.Scope):
		fault("limit", string(q.Limit), "a limit that is counted of a "+string(q.Scope)+": "+applicable(q.Scope))
	}
	within("max", q.Max, MaxQuota)
	within("headroom_per_mille", q.HeadroomPerMille, 999)
	within("retry_after_ms", q.RetryAfterMS, maxRetryAfterSet)
	switch q.Action {
	case "", ActionReject, ActionDefer, ActionThrottle:
	case ActionDegrade:
		if !slices.Contains(allowed, controlplane.ActionDegrade) {
			fault("action", string(q.Action), "reject, defer or throttle: the plan's allowed_adaptive_actions do not contain degrade")
		}
		if q.HeadroomPerMille > 0 {
			fault("headroom_per_mille", strconv.FormatInt(q.HeadroomPerMille, 10), "0: before the limit nobody is let in with less")
		}
	default:
		fault("action", string(q.Action), "reject, defer, throttle or degrade")
	}
	return errors.Join(faults...)
}

func applicable(s Scope) string {
	list := ""
	for _, l := range Limits() {
		if !Applies(l, s) {
			continue
		}
		if list != "" {
			list += ", "
		}
		list += string(l)
	}
	return list
}

// Validate reports every fault of the policy at once, each a QuotaError. An override is
// judged as what it makes of the quota that it changes.
func (p *Policy) Validate(allowed []controlplane.AdaptiveAction) error {
	var faults []error
	base := map[[2]string]Quota{}
	for i := range p.Quotas {
		q := &p.Quotas[i]
		if _, twice := base[key(q.Scope, q.Limit)]; twice {
			faults = append(faults, &QuotaError{Scope: q.Scope, Limit: q.Limit, Field: "limit", Value: string(q.Limit), Want: "each limit of a scope once"})
		}
		base[key(q.Scope, q.Limit)] = *q
		faults = append(faults, faultsOf(q.Validate(allowed), "")...)
	}
	for _, tenant := range slices.Sorted(maps.Keys(p.Tenants)) {
		seen := map[[2]string]bool{}
		for i := range p.Tenants[tenant] {
			o := &p.Tenants[tenant][i]
			if k := key(o.Scope, o.Limit); seen[k] {
				faults = append(faults, &QuotaError{Tenant: tenant, Scope: o.Scope, Limit: o.Limit, Field: "limit", Value: string(o.Limit), Want: "each limit of a scope once"})
			} else {
				seen[k] = true
				made := o.over(base[k])
				faults = append(faults, faultsOf(made.Validate(allowed), tenant)...)
			}
		}
	}
	return errors.Join(faults...)
}

func key(s Scope, l Limit) [2]string { return [2]string{string(s), string(l)} }

// faultsOf takes a joined error apart and says whose quota it is about.
func faultsOf(err error, tenant string) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	list := joined.Unwrap()
	for _, one := range list {
		var q *QuotaError
		if errors.As(one, &q) {
			q.Tenant = tenant
		}
	}
	return list
}
