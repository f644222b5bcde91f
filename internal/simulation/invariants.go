// SPDX-License-Identifier: Apache-2.0

package simulation

// Invariant names a statement that must hold at every step, or at the end of every
// session. The names are what reports and reproductions speak of.
type Invariant uint8

// The invariants. The comment of each is the statement.
const (
	// Sound.

	FencedNeverPlayed   Invariant = iota // after a fence no sample of the generation reaches the sink, and none is handed over
	OldEpochNeverPlayed                  // after authority has changed, nothing of the old epoch is handed over or reaches the sink
	PlayedInOrderOnce                    // chunks reach egress and sink in the order of their arrival, each once
	NoChunkLeaked                        // every chunk that arrives is played or discarded, exactly once
	AcceptedWhileActive                  // output_accepted comes between turn_open and the terminal, one for each chunk
	NothingAfterEnd                      // after end_of_audio a generation gets no chunk and no second end
	StartedOnce                          // playback_started comes once a turn, after output_accepted, never after the fence
	PlaybackEndsOnce                     // of playback_completed and playback_cancelled a turn gets at most one
	PlaybackAccounted                    // a turn whose playback started has one of both by the end of the session
	CompletedIsWhole                     // playback_completed means that every accepted sample reached the sink
	FencesFirst                          // in the decisions of a step, fences stand before everything else
	FenceOnce                            // a generation is fenced once
	CancelIsFenced                       // an accepted cancel of a turn fences it in the same step
	PrefenceConfirmed                    // what the shell fenced ahead of a cancel ends in a fence of the kernel's
	HoldsPaired                          // hold and resume alternate, and a fenced generation gets neither
	HoldBounded                          // a hold ends min + false interruption (+ transcript wait) after the last sign of speech
	HoldKeepsPlace                       // while held nothing unprotected reaches the sink

	// Turns.

	DeclaredEdges         // every turn takes declared edges only, from where it stands
	OneLiveTurn           // at most one turn is between turn_open and close
	OpenAfterGates        // turn_open follows admit in its step, with plan, authority, snapshots and an active session
	TerminalThenClose     // an accepted turn gets one of commit and abort, then one close, in one step
	NoTerminalUnopened    // a proposal that failed gets neither terminal nor close
	AbortReasonDeclared   // the reason of an abort is one of the closed list
	TiesResolved          // among causes of one pass, the one of higher precedence is the reason
	CommitNeedsAppend     // commit follows a confirmed append of the turn's terminal evidence
	EvidenceOnce          // every closed turn has its evidence, once, and nobody else has any
	BargeInSequence       // barge_in, cancel, playback_cancelled, hooks, abort, close: in this order
	CancelledHasCancel    // abort(cancelled) follows a cancel of that turn in its step
	NoBargeInOnNoise      // coughs and backchannels alone never confirm an interruption
	TurnBounded           // a turn ends within the hard cap after its utterance
	NoTurnOutsideActive   // outside ACTIVE no turn opens
	DecisionsWellFormed   // a decision outcome of scope turn names its turn, and stands by its signal
	SignalsWellFormed     // every signal is in the registry, with an emitter, scope, fields and reason that it allows
	NothingAfterTerminal  // after the terminal no call of the turn starts
	OneVoiceAtATime       // one segment at a time is being synthesised
	GenerationsRise       // every turn's generation is new and above all before it
	ProposalsAreNotStates // turn ids are never used twice

	// Who is let in.

	OpenWithinQuota    // no turn opens on a proposal that a quota refuses; what a quota degrades is told
	EntryFollowsCounts // a session begins when neither host nor quotas speak against it, and only then; else nothing of it is left
	RefusalsReasoned   // a refusal has a reason; a quota's names a limit that is reached, and a deferral says when to come again
	QueuedBeforeLive   // overload turns queued proposals away, and touches no live turn
	ShedsAreTold       // what the execution pool refuses is shed by one decision, in its pass, and nothing else is
	LevelsMonotone     // a level sheds what those below it shed, and comes and goes as the pressure does

	// Budgets and adaptation.

	AdaptsAsAllowed       // retries, switches, degrade steps and the fallback line occur only where the plan lists them
	FidelityOnlyFalls     // the degrade steps of a turn go one way, and none is taken twice
	WarnedBeforeExhausted // a budget is exhausted once, after a warning of its own
	NestedInParent        // a call is given no more time than its own and than what is left of its turn
	BudgetAnswered        // a turn without output has ended or been given a way on when its envelope is over

	// Tools.

	ToolCalledOnce // a call of a tool goes out once, under a key of its own, behind its item, while its turn is live
	ToolResultOnce // a result is written down once, behind its call, and takes the place of nothing but the word that none came
	ToolResultKept // the first result of a call is written down in its step, whatever has become of the turn
	ToolsAwaited   // a turn's model is asked again when every call of its round is answered or given up, not before, and not too often
	ToolsBounded   // no turn waits for a tool beyond its time

	// Graphs.

	WorkOnce     // a node is handed one item at a time, each once, and none for a turn that is over
	WorkBounded  // what a node has in hand is answered for when its budget is over
	OneAnswer    // a turn asks one model of its graph
	GraphFenced  // nothing of a fenced turn comes through the graph to a synthesiser
	GraphOrdered // what is said has come through the graph, in the order of the segments that it was made of
	SoundGoesOn  // a node in the caller's sound that failed is gone by once and in its step, by a branch that lives or by none

	// Edges.

	EdgeBoundsHold       // no edge holds more than its bounds allow, and nothing that has waited too long comes out
	OffersAccounted      // every offer is delivered, merged, dropped with a notice, or lies there; exactly one of them
	EdgeOrderKept        // a lane of an edge keeps its order, and a reader of several gets what came first
	ProtectedNeverLost   // final text, semantic output and markers are dropped by a fence, or with their edge
	NoticeBeforeDelivery // a run of drops is told once, exactly, and ahead of the next delivery
	AtomicAllOrNothing   // a group of atomic_drop that has lost a member delivers nothing more
	DiscontinuityFollows // a loss of sound, or of a domain, is followed by its discontinuity, wherever the policy says
	WaitsCapped          // nobody waits for room or credit past max_block_time_ms, nor without a cause
	LanesByPriority      // telemetry never goes ahead of data, and fairness keys take turns
	DeliveredOnDemand    // who is ready gets what lies there in the same step, and nobody else gets anything
	CreditsHold          // credits and what lies on the edge are within the window, and nobody is left without
	NoSendWhileStopped   // nothing is asked of who was told to stop, and the stop ends when nothing lies there
	SignalsAlternate     // watermark crossings, XOFF and XON alternate; control is never stopped
	ControlNeverRefused  // a session whose control did not fit ends
	EdgesDrain           // when faults stop, edges drain or were cut off; one beside the turn ends no session

	// Identity and authority.

	SequenceRises     // runtime sequences strictly rise
	EventIDsUnique    // event ids are never used again
	TimeNeverReturns  // runtime timestamps do not go back, and never lie ahead
	EpochOnEverything // every signal carries the epoch in force
	DuplicateNoEffect // a message delivered again changes nothing
	StaleNoEffect     // a message of another epoch changes nothing

	// Time.

	WallProjected   // the wall time of every signal is projected from the anchor
	RebaseEvidenced // a skew beyond the bound is rebased with evidence, one beyond ten times refused, and no other is either
	MediaMapped     // where audio comes in time, the projected media clock is within 10 ms of the caller's
	GapMarked       // audio that is missing and was not concealed is marked, once a stretch

	// What clients say beside sound and text.

	ConditionsOnce   // a mute, a stall or silence is told once a stretch, and only while it lasts
	ConditionsTold   // a mute is told at once, and a stall when its time is over
	ControlsTold     // a control becomes one signal in the namespace of the transport, and nothing else
	GivenKept        // an item that a client brings along is in the record once, whole, and counts as heard
	ForgottenStays   // an item that a client takes out is taken out at once, and comes to be nothing else
	RespondOnce      // asking for an answer opens one turn at most, with its key, and adds no words
	ClientEndsTurns  // where the client alone ends utterances nothing else ends one
	AnswersWhenAsked // where the client asks for answers no turn opens without that
	WrittenUnspoken  // an answer that the client wants written is not spoken

	// Calls.

	CallsEndOnce      // every provider call ends exactly once, and nothing happens to it afterwards
	AttemptsRise      // attempts of a call count up by one, to the limit
	CallsTimeOut      // a call without results is given up after the invocation timeout
	CancelledGivenUp  // a cancelled call that does not answer is given up when its grace is over
	CallsBounded      // calls and outputs under way stay below their limits
	FinalizedOnce     // an utterance's recogniser is finalised at most once
	UtterancesBounded // an utterance is cut at the longest length

	// Conversation.

	ItemsKeepPlace     // an item keeps key, role, turn and order for good; keys count up
	OneItemPerWords    // an utterance has at most one item
	WordsKept          // an aborted or committed turn keeps its caller's words
	InterruptedBefore  // an interrupted item stands before the item that interrupted it
	HeardWithinPlayed  // nothing counts as heard that was not played, nor more than was generated
	OneAssistantItem   // a turn has at most one assistant item
	HeardWholeWhenDone // when playback has completed, everything spoken counts as heard

	// Session.

	DeclaredSessionEdges // CONNECTING, ACTIVE, DRAINING, ENDED by declared edges only
	EndsOnce             // a session ends once; afterwards everything is refused
	DrainBounded         // a drain ends by its deadline
	LinkBounded          // a lost link drains the session when its timeout is over
	ConnectionEdges      // connection signals follow the connection's states
	DeadlineAhead        // the deadline lies ahead of the step that reports it: no livelock
	ComesToRest          // when faults stop, the session comes to rest within a bound, with nothing open or held
	NoPanic              // a step does not panic
	DigestEqual          // a seed run twice decides the same
	invariantCount
)

func invariantNames() [invariantCount]string {
	return [invariantCount]string{
		"fenced_never_played", "old_epoch_never_played", "played_in_order_once", "no_chunk_leaked",
		"accepted_while_active", "nothing_after_end", "started_once", "playback_ends_once", "playback_accounted",
		"completed_is_whole", "fences_first", "fence_once", "cancel_is_fenced", "prefence_confirmed", "holds_paired",
		"hold_bounded", "hold_keeps_place",
		"declared_edges", "one_live_turn", "open_after_gates", "terminal_then_close", "no_terminal_unopened",
		"abort_reason_declared", "ties_resolved", "commit_needs_append", "evidence_once", "barge_in_sequence",
		"cancelled_has_cancel", "no_barge_in_on_noise", "turn_bounded", "no_turn_outside_active",
		"decisions_well_formed", "signals_well_formed", "nothing_after_terminal", "one_voice_at_a_time",
		"generations_rise", "proposals_are_not_states",
		"open_within_quota", "entry_follows_counts", "refusals_reasoned", "queued_before_live", "sheds_are_told", "levels_monotone",
		"adapts_as_allowed", "fidelity_only_falls", "warned_before_exhausted", "nested_in_parent", "budget_answered",
		"tool_called_once", "tool_result_once", "tool_result_kept", "tools_awaited", "tools_bounded",
		"work_once", "work_bounded", "one_answer", "graph_fenced", "graph_ordered", "sound_goes_on",
		"edge_bounds_hold", "offers_accounted", "edge_order_kept", "protected_never_lost", "notice_before_delivery",
		"atomic_all_or_nothing", "discontinuity_follows", "waits_capped", "lanes_by_priority", "delivered_on_demand",
		"credits_hold", "no_send_while_stopped", "signals_alternate", "control_never_refused", "edges_drain",
		"sequence_rises", "event_ids_unique", "time_never_returns", "epoch_on_everything", "duplicate_no_effect",
		"stale_no_effect",
		"wall_projected", "rebase_evidenced", "media_mapped", "gap_marked",
		"conditions_once", "conditions_told", "controls_told", "given_kept", "forgotten_stays", "respond_once", "client_ends_turns",
		"answers_when_asked", "written_unspoken",
		"calls_end_once", "attempts_rise", "calls_time_out", "cancelled_given_up", "calls_bounded", "finalized_once",
		"utterances_bounded",
		"items_keep_place", "one_item_per_words", "words_kept", "interrupted_before", "heard_within_played",
		"one_assistant_item", "heard_whole_when_done",
		"declared_session_edges", "ends_once", "drain_bounded", "link_bounded", "connection_edges", "deadline_ahead",
		"comes_to_rest", "no_panic", "digest_equal",
	}
}

func (i Invariant) String() string { return invariantNames()[i] }

// Invariants lists all names.
func Invariants() []string {
	names := invariantNames()
	return names[:]
}
