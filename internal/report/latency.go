// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"slices"
)

// Latencies cuts the wait between the end of the caller's utterance and the first agent audio at the sink into parts.
// A nil part has no instant of its own: its time is in the part after it.
type Latencies struct {
	// EOUToOpenMs runs beside the chain, not in it: the turn opens while recognition finishes.
	EOUToOpenMs     *float64 `json:"eou_to_open_ms"`
	EOUToSTTFinalMs *float64 `json:"eou_to_stt_final_ms"`
	// STTFinalToFirstTokenMs is the TTFT as the caller lives it.
	STTFinalToFirstTokenMs     *float64 `json:"stt_final_to_first_token_ms"`
	FirstTokenToFirstSegmentMs *float64 `json:"first_token_to_first_segment_ms"`
	// FirstSegmentToFirstAudioMs is the synthesiser's TTFB.
	FirstSegmentToFirstAudioMs *float64 `json:"first_segment_to_first_audio_ms"`
	// FirstAudioToSinkMs is egress: pacing, and any hold before the first frame.
	FirstAudioToSinkMs *float64 `json:"first_audio_to_sink_ms"`
	// EOUToFirstAudioMs is the whole, to the first frame at the sink; nil when nothing was played or nothing was said.
	EOUToFirstAudioMs *float64 `json:"eou_to_first_audio_ms"`
}

// Part is one named stretch of a latency, for drawing.
type Part struct {
	// Key names the stretch: "stt", "ttft", "segment", "ttfb" or "egress".
	Key   string
	Label string
	Short string // the label where there is no room
	Ms    float64
}

// LatenciesOf computes a turn's latencies. An instant that lies before the one it should follow (a recogniser that was
// final before the end of the utterance was decided) contributes 0, and one after the first frame is cut there, so the
// parts add up to the whole whatever the order of events was.
func LatenciesOf(turn *Turn) Latencies {
	out := Latencies{EOUToOpenMs: between(turn.EOUMs, turn.OpenedMs)}
	if turn.EOUMs == nil || turn.PlaybackStartedMs == nil {
		return out
	}
	begin, end := *turn.EOUMs, max(*turn.EOUMs, *turn.PlaybackStartedMs)
	out.EOUToFirstAudioMs = micros(end - begin)
	at := begin
	cut := func(instant *float64) *float64 {
		if instant == nil {
			return nil
		}
		next := min(max(*instant, at), end)
		part := micros(next - at)
		at = next
		return part
	}
	out.EOUToSTTFinalMs = cut(turn.STTFinalMs)
	out.STTFinalToFirstTokenMs = cut(turn.FirstTokenMs)
	out.FirstTokenToFirstSegmentMs = cut(turn.FirstSegmentMs)
	out.FirstSegmentToFirstAudioMs = cut(turn.FirstAudioMs)
	out.FirstAudioToSinkMs = cut(&end)
	return out
}

// Parts lists the stretches that add up to EOUToFirstAudioMs, in order; nothing when there is no total.
func (l Latencies) Parts() []Part {
	var parts []Part
	add := func(key, short, label string, ms *float64) {
		if ms != nil {
			parts = append(parts, Part{Key: key, Short: short, Label: label, Ms: *ms})
		}
	}
	add("stt", "final", "end of utterance to final transcript", l.EOUToSTTFinalMs)
	add("ttft", "TTFT", "final transcript to first token (TTFT)", l.STTFinalToFirstTokenMs)
	add("segment", "segment", "first token to first segment", l.FirstTokenToFirstSegmentMs)
	add("ttfb", "TTFB", "first segment to first audio (TTFB)", l.FirstSegmentToFirstAudioMs)
	add("egress", "sink", "first audio to the sink", l.FirstAudioToSinkMs)
	return parts
}

// between is nil unless both instants occurred.
func between(from, to *float64) *float64 {
	if from == nil || to == nil {
		return nil
	}
	return micros(*to - *from)
}

// micros takes binary noise off a difference of milliseconds.
func micros(ms float64) *float64 {
	rounded := math.Round(ms*1000) / 1000
	return &rounded
}

// Spread sums up one latency over the turns that have it. Percentiles are nearest-rank: a value that was measured.
type Spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	Max   float64 `json:"max"`
}

// spreadOf is nil when there is nothing to sum up.
func spreadOf(values []float64) *Spread {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := func(p float64) float64 { return sorted[int(math.Ceil(p*float64(len(sorted))))-1] }
	return &Spread{Count: len(sorted), P50: rank(0.50), P95: rank(0.95), Max: sorted[len(sorted)-1]}
}
