// SPDX-License-Identifier: Apache-2.0

package profanityfilter_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/parley-voice/parley/examples/profanityfilter"
	"github.com/parley-voice/parley/node/nodetest"
)

func TestConformance(t *testing.T) {
	nodetest.Conform(t, profanityfilter.Kind(), "")
	nodetest.Conform(t, profanityfilter.Kind(), `{"words":["raining"],"scope":"session"}`)
}

func TestFilter(t *testing.T) {
	n, err := profanityfilter.Kind().New(json.RawMessage(`{"with":"(beep)"}`))
	if err != nil {
		t.Fatal(err)
	}
	h := nodetest.Play(t, n,
		nodetest.Give(nodetest.Segment(0, "Damn, what the HELL. "), nodetest.Segment(1, "A shell, a bloody one!")),
		nodetest.Expect(`segment "(beep), what the (beep). "`, `segment "A shell, a (beep) one!"`),
	)
	if found := h.Count("profanity_filter_found"); found != 3 {
		t.Errorf("%d were counted", found)
	}
}

func TestConfig(t *testing.T) {
	_, err := profanityfilter.Kind().Describe(json.RawMessage(`{"words":[],"scope":"call"}`))
	if err == nil || !strings.Contains(err.Error(), "config.words: 0") || !strings.Contains(err.Error(), `config.scope: "call"`) {
		t.Error(err)
	}
}
