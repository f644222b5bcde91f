// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/parley-voice/parley/internal/observability/waits"
)

// SummaryVersion is the format of summary.json. Fields may be added within a version; none changes its meaning.
const SummaryVersion = 1

// Summary is the content of summary.json: one conversation in figures, for tools. Units are in the names.
type Summary struct {
	Version int            `json:"version"`
	Session SummarySession `json:"session"`
	Turns   []SummaryTurn  `json:"turns"`
	// EOUToFirstAudioMs and CancelToFenceUs sum up the turns that have them; null when none has.
	EOUToFirstAudioMs *Spread `json:"eou_to_first_audio_ms"`
	CancelToFenceUs   *Spread `json:"cancel_to_fence_us"`
	FramesAfterFence  int     `json:"frames_after_fence"`
	HoldsResumed      int     `json:"holds_resumed"`
	HoldsConfirmed    int     `json:"holds_confirmed"`
	// Edges are the edges that were used, in the order of their first use; Admission, Load and Budgets what was decided
	// under pressure. Absent when nobody kept account.
	Edges     []SummaryEdge    `json:"edges"`
	Admission *waits.Admission `json:"admission,omitempty"`
	Load      *waits.Load      `json:"load,omitempty"`
	Budgets   *waits.Budgets   `json:"budgets,omitempty"`
	Engines   []Engine         `json:"engines"`
	Process   Process          `json:"process"`
	Notes     []string         `json:"notes"`
}

// SummaryEdge is one edge: where it lies, its bounds, and what it counted.
type SummaryEdge struct {
	ID       string `json:"edge_id"`
	From     string `json:"from"`
	To       string `json:"to"`
	CutOff   bool   `json:"cut_off"`
	MaxItems int64  `json:"max_queue_items"`
	MaxMS    int64  `json:"max_queue_ms"`
	MaxBytes int64  `json:"max_queue_bytes"`
	waits.Counts
}

// SummarySession is the session as a whole.
type SummarySession struct {
	ID         string  `json:"id"`
	State      string  `json:"state"`
	Reason     string  `json:"reason"`
	Pipeline   string  `json:"pipeline"`
	Profile    string  `json:"profile"`
	Mode       Mode    `json:"mode"`
	StartedAt  string  `json:"started_at,omitempty"`
	DurationMs float64 `json:"duration_ms"`
	// InvariantViolations counts; Violations names them.
	InvariantViolations int      `json:"invariant_violations"`
	Violations          []string `json:"violations"`
	Digest              string   `json:"digest"`
	Recording           string   `json:"recording"`
	Audio               string   `json:"audio,omitempty"`
}

// SummaryTurn is one turn. Latencies holds the parts that add up to EOUToFirstAudioMs.
type SummaryTurn struct {
	TurnID            string    `json:"turn_id"`
	Index             int       `json:"index"`
	Transcript        string    `json:"transcript"`
	Reply             string    `json:"reply"`
	HeardText         string    `json:"heard_text"`
	HeardErrorMs      *float64  `json:"heard_error_ms"`
	Terminal          string    `json:"terminal"`
	Reason            string    `json:"reason"`
	EOUToFirstAudioMs *float64  `json:"eou_to_first_audio_ms"`
	CancelToFenceUs   *float64  `json:"cancel_to_fence_us"`
	FramesAfterFence  int       `json:"frames_after_fence"`
	PlayedThroughMs   *float64  `json:"played_through_ms"`
	Latencies         Latencies `json:"latencies"`
	Hold              []Hold    `json:"hold"`
}

// SummaryOf takes the figures out of what the timeline shows, so that the two files cannot disagree.
func SummaryOf(d Data) Summary {
	s := d.Session
	out := Summary{
		Version: SummaryVersion,
		Session: SummarySession{
			ID: s.ID, State: s.State, Reason: s.Reason, Pipeline: s.Pipeline, Profile: s.Profile, Mode: s.Mode,
			StartedAt: s.StartedAt, DurationMs: s.DurationMs,
			InvariantViolations: len(s.Violations), Violations: list(s.Violations),
			Digest: s.Digest, Recording: s.Recording, Audio: s.Audio,
		},
		Turns:   make([]SummaryTurn, 0, len(d.Turns)),
		Engines: list(s.Engines), Process: d.Process, Notes: list(d.Notes),
	}
	var heard, fences []float64
	for i := range d.Turns {
		turn := summaryTurn(&d.Turns[i])
		out.Turns = append(out.Turns, turn)
		if turn.EOUToFirstAudioMs != nil {
			heard = append(heard, *turn.EOUToFirstAudioMs)
		}
		if turn.CancelToFenceUs != nil {
			fences = append(fences, *turn.CancelToFenceUs)
		}
		out.FramesAfterFence += turn.FramesAfterFence
		for _, hold := range turn.Hold {
			switch hold.Verdict {
			case VerdictResumed:
				out.HoldsResumed++
			case VerdictConfirmed:
				out.HoldsConfirmed++
			case VerdictEnded:
			}
		}
	}
	out.EOUToFirstAudioMs, out.CancelToFenceUs = spreadOf(heard), spreadOf(fences)
	out.waited(d.Waits)
	return out
}

// waited takes over what waited and what was decided for it.
func (s *Summary) waited(a *waits.Account) {
	s.Edges = []SummaryEdge{}
	if a == nil {
		return
	}
	for i := range a.Edges {
		e := &a.Edges[i]
		s.Edges = append(s.Edges, SummaryEdge{
			ID: e.ID, From: e.From, To: e.To, CutOff: e.Lost,
			MaxItems: e.MaxItems, MaxMS: e.MaxMS, MaxBytes: e.MaxBytes, Counts: e.Counts,
		})
	}
	s.Admission, s.Load, s.Budgets = &a.Admission, &a.Load, &a.Budgets
}

func summaryTurn(turn *Turn) SummaryTurn {
	latencies := LatenciesOf(turn)
	out := SummaryTurn{
		TurnID: turn.TurnID, Index: turn.Index,
		Transcript: turn.Transcript, Reply: turn.Reply, HeardText: turn.HeardText, HeardErrorMs: turn.HeardErrorMs,
		Terminal: turn.Terminal, Reason: turn.Reason,
		EOUToFirstAudioMs: latencies.EOUToFirstAudioMs, Latencies: latencies, Hold: list(turn.Hold),
	}
	if turn.Cancel != nil {
		out.CancelToFenceUs = turn.Cancel.fenceUs()
		out.FramesAfterFence = turn.Cancel.FramesAfterFence
		out.PlayedThroughMs = turn.Cancel.PlayedThroughMs
	}
	return out
}

// fenceUs prefers the measured figure to the difference of the two instants; nil when no fence was applied.
func (c *Cancel) fenceUs() *float64 {
	if c.CancelToFenceUs != nil {
		return c.CancelToFenceUs
	}
	if c.FenceAppliedMs == nil {
		return nil
	}
	return micros((*c.FenceAppliedMs - c.AcceptedMs) * 1000)
}

// WriteSummary writes s as indented JSON. Texts are not escaped for HTML: the file is read by tools and by eye.
func WriteSummary(w io.Writer, s Summary) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// list makes an absent list an empty one, so that readers need not tell them apart.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
