// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"slices"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
)

// Flow section 8: the first plan-authorised action among degrade and fallback; none legal:
// terminate. Legal is what the plan lists and what has something to act on.
func TestFollow(t *testing.T) {
	all, none := controlplane.AdaptiveActions(), []controlplane.AdaptiveAction{}
	degrade := []controlplane.AdaptiveAction{controlplane.ActionRetry, controlplane.ActionDegrade}
	fallback := []controlplane.AdaptiveAction{controlplane.ActionProviderSwitch, controlplane.ActionFallback}
	for name, row := range map[string]struct {
		allowed []controlplane.AdaptiveAction
		ways    Ways
		want    Outcome
	}{
		"both help: degrade stands first":      {all, Ways{Degrade: true, Fallback: true, Continue: true}, OutcomeDegrade},
		"degrade is not listed":                {fallback, Ways{Degrade: true, Fallback: true}, OutcomeFallback},
		"degrade does not help":                {all, Ways{Fallback: true}, OutcomeFallback},
		"fallback is not listed":               {degrade, Ways{Fallback: true}, OutcomeTerminate},
		"nothing is listed":                    {none, Ways{Degrade: true, Fallback: true}, OutcomeTerminate},
		"no plan at all":                       {nil, Ways{Degrade: true, Fallback: true}, OutcomeTerminate},
		"nothing helps":                        {all, Ways{}, OutcomeTerminate},
		"nothing helps, but nothing is needed": {all, Ways{Continue: true}, OutcomeContinue},
		"going on stands last":                 {fallback, Ways{Degrade: true, Fallback: true, Continue: true}, OutcomeFallback},
	} {
		if got := Follow(row.allowed, row.ways); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

func TestParseActions(t *testing.T) {
	for s, want := range map[string][]controlplane.AdaptiveAction{
		"":                        controlplane.AdaptiveActions(),
		"none":                    {},
		"fallback,retry":          {controlplane.ActionRetry, controlplane.ActionFallback},
		"degrade":                 {controlplane.ActionDegrade},
		"provider_switch,degrade": {controlplane.ActionProviderSwitch, controlplane.ActionDegrade},
	} {
		got, err := ParseActions(s)
		if err != nil || got == nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"retry,retry", "none,retry", "all", "retry,", " retry", "Retry"} {
		if got, err := ParseActions(s); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}
