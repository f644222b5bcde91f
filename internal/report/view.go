// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// fact is one figure at the head of the page. Tone is "", "good" or "bad".
type fact struct{ Label, Value, Detail, Tone string }

// turnView is a turn as the page's list tells it.
type turnView struct {
	Index                                   int
	ID                                      string
	Transcript, Heard, Unheard, OtherReply  string
	Terminal, Reason, Tone                  string
	Total, Sum, Beside, Cancel, Holds, Span string
	Bars                                    []bar
	HeardNote                               string
}

// bar is one part of a latency waterfall; Left and Width are percent of the page's common scale.
type bar struct{ Key, Label, Ms, Left, Width string }

// turnRow is a turn as the table tells it, all figures as text, "–" for what did not occur.
type turnRow struct {
	Index                                                        int
	Transcript, Heard, Terminal, Reason, EOU, Open, Final, Token string
	Segment, Audio, Sink, Total, Fence, FramesAfterFence, Ended  string
}

type signalRow struct{ At, Signal, Emitter, Turn, Edge, Reason string }

const absent = "–"

func viewOf(d *Data) page {
	s := d.Session
	p := page{
		Title: "Conversation " + s.ID, Session: s, Facts: factsOf(d), Notes: d.Notes,
		HasAudio: s.Audio != "", Process: processLine(d),
	}
	widest := 0.0
	for i := range d.Turns {
		if total := LatenciesOf(&d.Turns[i]).EOUToFirstAudioMs; total != nil {
			widest = max(widest, *total)
		}
	}
	scale := niceScale(widest)
	if widest > 0 {
		p.Grid = strings.Replace(duration(scale/4), ".0 ", " ", 1)
	}
	for i := range d.Turns {
		p.Turns = append(p.Turns, turnViewOf(&d.Turns[i], scale))
		p.Rows = append(p.Rows, turnRowOf(&d.Turns[i]))
	}
	for _, signal := range d.Signals {
		p.Signals = append(p.Signals, signalRow{
			At: clock(signal.AtMs), Signal: signal.Signal, Emitter: signal.Emitter,
			Turn: orAbsent(signal.TurnID), Edge: orAbsent(signal.EdgeID), Reason: orAbsent(signal.Reason),
		})
	}
	p.Waited = waitedViewOf(d)
	return p
}

func factsOf(d *Data) []fact {
	sum := SummaryOf(*d)
	facts := []fact{{Label: "Length", Value: clockShort(d.Session.DurationMs), Detail: modeLine(d.Session.Mode)}}
	turns := fact{Label: "Turns", Value: strconv.Itoa(len(d.Turns)), Detail: terminals(d)}
	facts = append(facts, turns)
	if wait := sum.EOUToFirstAudioMs; wait != nil {
		detail := "p95 " + duration(wait.P95)
		if d.Session.Mode == ModeFast {
			detail += ", expected, not measured"
		}
		facts = append(facts, fact{Label: "Utterance end to first audio", Value: duration(wait.P50) + " p50", Detail: detail})
	}
	if fence := sum.CancelToFenceUs; fence != nil {
		f := fact{Label: "Cancel to fence", Value: fenceTime(fence.P50)}
		if fence.Count > 1 {
			f.Detail = "longest " + fenceTime(fence.Max)
		}
		facts = append(facts, f)
	}
	facts = append(facts, fact{
		Label: "Frames after a fence", Value: strconv.Itoa(sum.FramesAfterFence), Detail: "at the sink", Tone: zeroTone(sum.FramesAfterFence),
	}, fact{
		Label: "Invariant violations", Value: strconv.Itoa(sum.Session.InvariantViolations),
		Detail: strings.Join(sum.Session.Violations, ", "), Tone: zeroTone(sum.Session.InvariantViolations),
	})
	return facts
}

// fenceTime is the time from a cancel to its fence. In virtual time none passes.
func fenceTime(us float64) string {
	if us == 0 {
		return "same instant"
	}
	return duration(us / 1000)
}

func zeroTone(count int) string {
	if count == 0 {
		return "good"
	}
	return "bad"
}

func modeLine(mode Mode) string {
	if mode == ModeFast {
		return "in virtual time"
	}
	return "in real time"
}

func terminals(d *Data) string {
	commits, aborts := 0, 0
	for _, turn := range d.Turns {
		switch turn.Terminal {
		case "commit":
			commits++
		case "abort":
			aborts++
		}
	}
	if aborts == 0 {
		return fmt.Sprintf("%d committed", commits)
	}
	return fmt.Sprintf("%d committed, %d aborted", commits, aborts)
}

func processLine(d *Data) string {
	p := d.Process
	var parts []string
	if p.Version != "" {
		parts = append(parts, "parley "+p.Version)
	}
	if p.GoVersion != "" {
		parts = append(parts, p.GoVersion)
	}
	if p.OS != "" {
		parts = append(parts, p.OS+"/"+p.Arch)
	}
	if p.CPUs > 0 {
		parts = append(parts, fmt.Sprintf("%d CPUs", p.CPUs))
	}
	if p.PeakMemoryBytes != nil {
		parts = append(parts, fmt.Sprintf("%.0f MB at most", float64(*p.PeakMemoryBytes)/1e6))
	}
	return strings.Join(parts, " · ")
}

func turnViewOf(turn *Turn, scale float64) turnView {
	latencies := LatenciesOf(turn)
	heard, unheard := heardParts(turn)
	v := turnView{
		Index: turn.Index, ID: turn.TurnID, Transcript: turn.Transcript,
		Heard: heard, Unheard: unheard,
		Terminal: turn.Terminal, Reason: turn.Reason, Tone: tone(turn), Span: spanLine(turn),
		Holds: holdLine(turn), Cancel: cancelLine(turn),
	}
	if heard != "" && unheard == "" {
		if _, _, ok := splitHeard(turn.Reply, turn.HeardText); !ok {
			v.OtherReply = turn.Reply
		}
	}
	if turn.HeardErrorMs != nil && unheard != "" {
		v.HeardNote = "cut at the playout position, within " + duration(*turn.HeardErrorMs)
	}
	if latencies.EOUToFirstAudioMs == nil {
		return v
	}
	v.Total = duration(*latencies.EOUToFirstAudioMs)
	if latencies.EOUToOpenMs != nil {
		v.Beside = "The turn opened at the end of the utterance."
		if late := *latencies.EOUToOpenMs; late != 0 {
			v.Beside = "The turn opened " + duration(late) + " after the end of the utterance."
		}
	}
	left := 0.0
	var terms []string
	for _, part := range latencies.Parts() {
		v.Bars = append(v.Bars, bar{
			Key: part.Key, Label: part.Label, Ms: duration(part.Ms),
			Left: percent(left / scale), Width: percent(part.Ms / scale),
		})
		left += part.Ms
		terms = append(terms, duration(part.Ms))
	}
	v.Sum = strings.Join(terms, " + ") + " = " + v.Total
	return v
}

func tone(turn *Turn) string {
	switch turn.Terminal {
	case "commit":
		return "commit"
	case "abort":
		return "abort"
	}
	return "open"
}

func spanLine(turn *Turn) string {
	if turn.PlaybackStartedMs == nil {
		return "nothing was played"
	}
	if turn.PlaybackEndMs == nil {
		return "played from " + clock(*turn.PlaybackStartedMs)
	}
	return "played " + clock(*turn.PlaybackStartedMs) + " to " + clock(*turn.PlaybackEndMs)
}

func holdLine(turn *Turn) string {
	var parts []string
	for _, hold := range turn.Hold {
		parts = append(parts, fmt.Sprintf("held for %s at %s, %s", duration(hold.ToMs-hold.FromMs), clock(hold.FromMs), hold.Verdict))
	}
	return strings.Join(parts, "; ")
}

func cancelLine(turn *Turn) string {
	c := turn.Cancel
	if c == nil {
		return ""
	}
	line := "cancelled at " + clock(c.AcceptedMs)
	if us := c.fenceUs(); us != nil {
		line += ", fence " + fenceAfter(*us)
	}
	if c.PlayedThroughMs != nil {
		line += ", " + duration(*c.PlayedThroughMs) + " of the reply played"
	}
	return fmt.Sprintf("%s, %d frames after the fence", line, c.FramesAfterFence)
}

func fenceAfter(us float64) string {
	if us == 0 {
		return "at the same instant"
	}
	return "after " + duration(us/1000)
}

func turnRowOf(turn *Turn) turnRow {
	row := turnRow{
		Index: turn.Index, Transcript: orAbsent(turn.Transcript), Heard: orAbsent(turn.HeardText),
		Terminal: orAbsent(turn.Terminal), Reason: orAbsent(turn.Reason),
		EOU: clockOr(turn.EOUMs), Open: clockOr(turn.OpenedMs), Final: clockOr(turn.STTFinalMs),
		Token: clockOr(turn.FirstTokenMs), Segment: clockOr(turn.FirstSegmentMs), Audio: clockOr(turn.FirstAudioMs),
		Sink: clockOr(turn.PlaybackStartedMs), Ended: clockOr(turn.PlaybackEndMs),
		Total: absent, Fence: absent, FramesAfterFence: absent,
	}
	if total := LatenciesOf(turn).EOUToFirstAudioMs; total != nil {
		row.Total = duration(*total)
	}
	if c := turn.Cancel; c != nil {
		row.FramesAfterFence = strconv.Itoa(c.FramesAfterFence)
		if us := c.fenceUs(); us != nil {
			row.Fence = fenceTime(*us)
		}
	}
	return row
}

func orAbsent(text string) string {
	if text == "" {
		return absent
	}
	return text
}

func clockOr(ms *float64) string {
	if ms == nil {
		return absent
	}
	return clock(*ms)
}

// clock is an instant as m:ss.mmm.
func clock(ms float64) string {
	whole := int64(math.Round(ms))
	return fmt.Sprintf("%d:%02d.%03d", whole/60000, whole/1000%60, whole%1000)
}

// clockShort is a length as m:ss.t.
func clockShort(ms float64) string {
	tenths := int64(math.Round(ms / 100))
	return fmt.Sprintf("%d:%02d.%d", tenths/600, tenths/10%60, tenths%10)
}

// duration is a stretch of time in the unit that reads best. A stretch of 0 has no unit to prefer and says ms.
func duration(ms float64) string {
	switch size := math.Abs(ms); {
	case size == 0:
		return "0 ms"
	case size < 0.1:
		return strconv.FormatFloat(math.Round(ms*1e4)/10, 'f', -1, 64) + " µs"
	case size < 1:
		return strconv.FormatFloat(math.Round(ms*1000), 'f', -1, 64) + " µs"
	case size < 1000:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(ms/1000, 'f', 2, 64) + " s"
}

// percent is a fraction as a plain decimal, which is all a style attribute takes.
func percent(fraction float64) string { return strconv.FormatFloat(fraction*100, 'f', 3, 64) }

// niceScale is four round steps that hold widest.
func niceScale(widest float64) float64 {
	for _, step := range []float64{1, 5, 10, 20, 25, 50, 75, 100, 150, 200, 250, 500, 1000, 2500, 5000, 15000} {
		if 4*step >= widest {
			return 4 * step
		}
	}
	return widest
}
