// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
)

// Codes of faults that are found between values; faults of single values have the codes
// of the schema.
const (
	CodeUnknownEdge     = "unknown_edge"
	CodeEdgeEnds        = "edge_ends"
	CodeCannotRun       = "cannot_run"
	CodeTooManyEdges    = "too_many_edges"
	CodeRequired        = "required"
	CodeLaneStrategy    = "lane_strategy"
	CodeLaneTelemetry   = "telemetry_strategy"
	CodeVictim          = "victim_without_drop"
	CodeSample          = "sample_without_sampling"
	CodeWatermarkOrder  = "watermark_order"
	CodeWatermarkBeyond = "watermark_beyond_bound"
	CodeUnreachable     = "bound_unreachable"
	CodeBelowFrame      = "bound_below_frame"
	CodeBelowChunk      = "bound_below_chunk"
	CodeLatencyPlayed   = "latency_below_queue"
	CodeBeyondRing      = "bound_beyond_ring"
	CodeBlockBeyond     = "block_beyond_budget"
	CodeBudgetBeyond    = "budget_beyond_cap"
	CodeNotAllowed      = "action_not_allowed"
	CodeQuota           = "quota_contradiction"
	CodeNotALayer       = "not_a_layer"
	CodeConstraint      = "constraint_exceeded"
	CodePath            = "path"
)

// Codes of warnings: the settings work, but not as whoever wrote them may think.
const (
	CodeShadowed    = "budget_shadowed"
	CodeControlMode = "control_mode"
	CodeUnknownNode = "unknown_node"
	CodeSyncReach   = "sync_reach"
	CodeIdleEnd     = "edge_end_idle"
)

// Fault is one defect of what was set.
type Fault struct {
	// File names the file, or the variable or flag that stands for one.
	File string `json:"file"`
	// Line and Column count from 1, columns in code points; 0 where there are no lines.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path is the field, "" the document as a whole.
	Path  string `json:"path"`
	Code  string `json:"code"`
	Value string `json:"value,omitempty"`
	// Message names field, value and remedy, for people.
	Message string `json:"message"`
	// Warning marks what only strict reading refuses.
	Warning bool `json:"warning,omitempty"`
}

// String is the fault in one line: FILE:LINE:COLUMN: path: code: message.
func (f Fault) String() string {
	where := f.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	}
	path := shorten(f.Path)
	if path == "" {
		path = "(document)"
	}
	code := f.Code
	if f.Warning {
		code = "warning: " + code
	}
	return where + ": " + path + ": " + code + ": " + f.Message
}

// The most characters of a name, and of a whole path, that a line shows.
const (
	maxShownName = 80
	maxShownPath = 400
)

// shorten cuts what is long in a path: a name can be as long as a file.
func shorten(path string) string {
	if len(path) <= maxShownName {
		return path
	}
	names := strings.Split(path, ".")
	for i := range names {
		names[i] = cut(names[i], maxShownName)
	}
	return cut(strings.Join(names, "."), maxShownPath)
}

func cut(text string, most int) string {
	if list := []rune(text); len(list) > most {
		return string(list[:most-1]) + "…"
	}
	return text
}

// RefusedError is that settings are refused, with every fault that is more than a warning.
type RefusedError struct{ Faults []Fault }

func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString("the pipeline spec is refused:")
	for _, f := range e.Faults {
		if !f.Warning {
			b.WriteString("\n" + f.String())
		}
	}
	return b.String()
}

// Refused says whether any of the faults is more than a warning.
func Refused(faults []Fault) bool {
	for _, f := range faults {
		if !f.Warning {
			return true
		}
	}
	return false
}

// Layer is one of the layers of turn-plan section 5, as provenance writes it.
type Layer string

// The layers, from the lowest.
const (
	Profile     Layer = controlplane.ProvenanceProfile
	Spec        Layer = controlplane.ProvenancePipelineSpec
	Environment Layer = controlplane.ProvenanceEnvironment
	Tenant      Layer = controlplane.ProvenanceTenant
	Session     Layer = controlplane.ProvenanceSession
)

// rank orders the layers.
func (l Layer) rank() int {
	switch l {
	case Profile:
		return 0
	case Spec:
		return 1
	case Environment:
		return 2
	case Tenant:
		return 3
	case Session:
		return 4
	}
	return -1
}

// Source is where a value came from.
type Source struct {
	Layer Layer `json:"layer"`
	// File is the file, variable or flag; for what nobody wrote, what holds the default.
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Because is the path of the value to which a default gave way, or that chose it.
	Because string `json:"because,omitempty"`
}

// String is the place of the value, for people.
func (s Source) String() string {
	var b strings.Builder
	b.WriteString(s.File)
	if s.Line > 0 {
		fmt.Fprintf(&b, ":%d", s.Line)
	}
	if s.Because != "" {
		b.WriteString(" (by " + s.Because + ")")
	}
	return b.String()
}
