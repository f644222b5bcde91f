// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says whether a fault keeps a graph from running.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Code is the kind of a Fault.
type Code string

// The codes.
const (
	CodeBounds      Code = "bounds"          // too many nodes, edges or conditions
	CodeID          Code = "id"              // none, or used twice
	CodeRole        Code = "role"            // unknown, or more nodes of it than may be
	CodeScope       Code = "scope"           // unknown, or not possible where the node stands
	CodeBudget      Code = "budget"          // negative
	CodeMergeRule   Code = "merge_rule"      // unknown, or of a node that is no merge
	CodeMergeInputs Code = "merge_inputs"    // a merge with nothing to merge
	CodeUnknownNode Code = "unknown_node"    // an edge or a fallback names a node that is not there
	CodeCycle       Code = "cycle"           // nodes that lead to themselves
	CodeTypes       Code = "types"           // event types that do not fit
	CodeCondition   Code = "condition"       // a condition that cannot be evaluated
	CodeUncovered   Code = "uncovered"       // a select that may find no way
	CodeUnreachable Code = "unreachable"     // nothing reaches it, or it leads nowhere
	CodeFallback    Code = "fallback"        // a stand-in that cannot stand in
	CodeTrigger     Code = "trigger"         // a stand-in with no trigger, or a wrong one
	CodePrelude     Code = "prelude"         // more than one prelude, or one that is not of the session
	CodeTwoAnswers  Code = "two_answers"     // several models may answer the same words
	CodeIncomplete  Code = "incomplete_path" // no way from the caller to the speaker
)

// Fault is a defect of a definition.
type Fault struct {
	Severity Severity
	Code     Code
	Path     string // such as nodes.filter.fallback_of or edges.x.to
	Value    string // what stands there
	Message  string // what is wrong, and what to do about it
	// Candidates are names that could have been meant, where a name is unknown; sorted.
	Candidates []string
}

// Error gives the fault as one line.
func (f Fault) Error() string {
	if f.Value == "" {
		return fmt.Sprintf("%s: %s", f.Path, f.Message)
	}
	return fmt.Sprintf("%s: %q: %s", f.Path, f.Value, f.Message)
}

// Fatal says that there are errors among faults.
func Fatal(list []Fault) bool {
	return slices.ContainsFunc(list, func(f Fault) bool { return f.Severity == Error })
}

// faults collects what is wrong.
type faults struct{ list []Fault }

func (c *faults) add(code Code, path, value, format string, args ...any) {
	c.list = append(c.list, Fault{Severity: Error, Code: code, Path: path, Value: value, Message: fmt.Sprintf(format, args...)})
}

func (c *faults) warn(code Code, path, value, format string, args ...any) {
	c.list = append(c.list, Fault{Severity: Warning, Code: code, Path: path, Value: value, Message: fmt.Sprintf(format, args...)})
}

// sorted gives the faults by path, each once.
func (c *faults) sorted() []Fault {
	slices.SortStableFunc(c.list, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(c.list, func(a, b Fault) bool { return a.Path == b.Path && a.Code == b.Code && a.Message == b.Message })
}
