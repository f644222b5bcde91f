// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"testing"

	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

func TestConformance(t *testing.T) {
	providertest.TestLLM(t, func(t *testing.T) provider.LLM { return responder(t) })
}

func TestConformanceAtAPace(t *testing.T) {
	providertest.TestLLM(t, func(t *testing.T) provider.LLM {
		r, err := New(Config{Now: noon, Pace: 1})
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
}
