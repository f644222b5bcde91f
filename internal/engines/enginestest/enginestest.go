// SPDX-License-Identifier: Apache-2.0

// Package enginestest gives tests the real speech engines. A test that needs them and
// does not find them fails with the remedy; it is never skipped.
package enginestest

import (
	"testing"

	"github.com/parley-voice/parley/internal/engines"
)

// Set returns the engines that are set up on this machine, verified.
func Set(tb testing.TB) *engines.Set {
	tb.Helper()
	set, err := engines.Find(engines.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	if err := set.Verify(); err != nil {
		tb.Fatal(err)
	}
	return set
}
