// SPDX-License-Identifier: Apache-2.0

package pipeline

// Codes of faults of a declared graph.
const (
	CodeNoGraph       = "no_graph"
	CodeNodeType      = "unknown_node_type"
	CodeNoNode        = "no_such_node"
	CodeNodeVersion   = "node_version"
	CodeNodeField     = "field_of_other_type"
	CodeConfig        = "config"
	CodeScope         = "scope"
	CodeTooManyNodes  = "too_many_nodes"
	CodeCondition     = "condition"
	CodeModule        = "unknown_module"
	CodeModuleVersion = "module_version"
	CodeModuleDepth   = "module_depth"
	CodeModuleCycle   = "module_cycle"
	CodePort          = "port"
	CodeTwice         = "declared_twice"
	CodeTwoPreludes   = "two_preludes"
	CodePreludeScope  = "prelude_scope"
	CodeFallback      = "fallback"
	CodeNoEvent       = "no_such_event"
	CodeIncomplete    = "incomplete_graph"
	CodeTwoAnswers    = "two_answers"
	CodeMergeInputs   = "merge_inputs"
	CodeNoEngine      = "no_such_engine"
	CodeEngineLacks   = "engine_lacks"
	CodeNoQueue       = "no_queue"
	CodeSharedQueue   = "shared_queue"
	CodeCircle        = "circle"
	CodeTypes         = "event_types"
	CodeDangling      = "dangling_node"
	CodeUnreached     = "never_tried"
)

// Codes of warnings of a declared graph.
const (
	CodeNoDefault = "no_default"
	CodeIdleRank  = "idle_rank"
)
