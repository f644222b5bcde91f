// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
)

// Outcome is what follows when a budget is exhausted or a part of the turn has failed
// (flow section 8).
type Outcome string

// The outcomes.
const (
	OutcomeContinue  Outcome = "continue"
	OutcomeDegrade   Outcome = "degrade"
	OutcomeFallback  Outcome = "fallback"
	OutcomeTerminate Outcome = "terminate"
)

// Ways says which outcomes would have something to act on, as the turn stands.
type Ways struct {
	Degrade  bool // the ladder has a step that helps what the turn waits for
	Fallback bool // the graph has a branch that can still be taken
	Continue bool // the turn waits for nothing: it can go on as it is
}

// Follow gives the outcome: the first that the plan authorises among degrade and
// fallback, then to go on where that costs nothing, else the end.
func Follow(allowed []controlplane.AdaptiveAction, w Ways) Outcome {
	switch {
	case w.Degrade && slices.Contains(allowed, controlplane.ActionDegrade):
		return OutcomeDegrade
	case w.Fallback && slices.Contains(allowed, controlplane.ActionFallback):
		return OutcomeFallback
	case w.Continue:
		return OutcomeContinue
	}
	return OutcomeTerminate
}

// NoActions is how a setting says that a plan allows no adaptive action.
const NoActions = "none"

// ParseActions reads a set of adaptive actions as a setting has it: names with commas
// between them, or NoActions. The empty string is the profile's set, all four (turn-plan
// section 6). The result is in canonical order.
func ParseActions(s string) ([]controlplane.AdaptiveAction, error) {
	switch s {
	case "":
		return controlplane.AdaptiveActions(), nil
	case NoActions:
		return []controlplane.AdaptiveAction{}, nil
	}
	given := strings.Split(s, ",")
	list := make([]controlplane.AdaptiveAction, 0, len(given))
	for _, a := range controlplane.AdaptiveActions() {
		if i := slices.Index(given, string(a)); i >= 0 {
			given = slices.Delete(given, i, i+1)
			list = append(list, a)
		}
	}
	if len(given) > 0 {
		return nil, fmt.Errorf("turn: adaptive action %q is unknown or given twice: give %s, or some of %v with commas between them", given[0], NoActions, controlplane.AdaptiveActions())
	}
	return list, nil
}
