// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"fmt"
	"time"
)

// OutcomeClass is the closed set of ways in which a provider call ends.
type OutcomeClass string

// The outcome classes. Retryability by class is policy of the runtime.
const (
	OutcomeSuccess               OutcomeClass = "success"
	OutcomeTimeout               OutcomeClass = "timeout"
	OutcomeOverload              OutcomeClass = "overload"
	OutcomeBlocked               OutcomeClass = "blocked"
	OutcomeInfrastructureFailure OutcomeClass = "infrastructure_failure"
	OutcomeCancelled             OutcomeClass = "cancelled"
)

// Outcome is the normalised end of one attempt. It is a value that travels as an
// event; it is not a Go error.
type Outcome struct {
	Class      OutcomeClass
	Reason     string        // stable, lower_snake_case; empty for success
	Retryable  bool          // what the vendor's answer suggests
	Backoff    time.Duration // with overload, how long the vendor asks to wait; 0 = unsaid
	StatusCode int           // vendor's status (HTTP, gRPC), 0 = none
	Detail     string        // for people; free of secrets and of user content
}

// Failure is the error form of an Outcome, for adapters' constructors and helpers.
type Failure struct {
	Outcome Outcome
	Cause   error
}

func (f *Failure) Error() string {
	s := fmt.Sprintf("provider: %s", f.Outcome.Class)
	if f.Outcome.Reason != "" {
		s += " (" + f.Outcome.Reason + ")"
	}
	if f.Outcome.Detail != "" {
		s += ": " + f.Outcome.Detail
	}
	if f.Cause != nil {
		s += ": " + f.Cause.Error()
	}
	return s
}

func (f *Failure) Unwrap() error { return f.Cause }

// OutcomeOf gives the outcome carried by err: success for nil, the outcome of a
// *Failure in its chain, otherwise infrastructure_failure with reason unclassified.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Outcome{Class: OutcomeSuccess}
	}
	var f *Failure
	if errors.As(err, &f) {
		return f.Outcome
	}
	return Outcome{Class: OutcomeInfrastructureFailure, Reason: "unclassified", Detail: err.Error()}
}
