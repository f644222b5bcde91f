// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// The bounds of one session. What passes a bound is refused and evidenced.
const (
	// maxUtterances are utterances whose transcript is still awaited.
	maxUtterances = 8
	// maxCalls are provider calls that have not ended, cancelled ones included.
	maxCalls = 64
	// maxOutputs are turns whose audio is with egress.
	maxOutputs = 8
	// maxProposals are proposals of one pass.
	maxProposals = 8
	// maxMeters are nodes and edges whose budgets are accounted for within a turn.
	maxMeters = 32
	// maxToolRounds is how often a turn's model is asked again because it has called tools.
	maxToolRounds = 8
	// maxToolCalls are the calls of tools of one round.
	maxToolCalls = 8
	// maxToolsKept are calls of tools that are remembered, so that their results are known: more
	// than one turn can make.
	maxToolsKept = 2 * maxToolRounds * maxToolCalls
	// maxNodePolicies are nodes with a policy of their own.
	maxNodePolicies = 64
)

// The numbers of simple/v1 (turn-plan section 6) that the session uses itself.
const (
	defaultTurnHardCapMS  = turn.ProfileHardCapMS
	defaultDrainMS        = 30000
	defaultDisconnectMS   = 15000
	defaultStallMS        = 2000
	defaultSilenceMS      = 10000
	defaultBootstrapMS    = 10000
	defaultMaxUtteranceMS = 30000
	defaultDedupeKeys     = 8192
	defaultToolTimeoutMS  = 15000
	dedupeWindow          = 600 * timebase.Second
	cancelGrace           = 75 * timebase.Millisecond
	backoffMS             = 50
	backoffCapMS          = 200
	preRoll               = 300 * timebase.Millisecond
	// protectedPoll is the least time between two looks at protected output: a frame.
	protectedPoll = timebase.FrameMS * timebase.Millisecond
)
