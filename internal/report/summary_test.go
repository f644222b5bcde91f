// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func ptr(ms float64) *float64 { return &ms }

func TestSummaryHoldsWhatToolsAskFor(t *testing.T) {
	d := sample(t)
	d.Turns = append(d.Turns, Turn{TurnID: "turn-6", Index: 6, EOUMs: ptr(45_000), Terminal: "abort", Reason: "provider_failure"})
	var out bytes.Buffer
	if err := WriteSummary(&out, SummaryOf(d)); err != nil {
		t.Fatal(err)
	}
	if *keep != "" {
		if err := os.WriteFile(filepath.Join(*keep, "summary.json"), out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got struct {
		Session map[string]any   `json:"session"`
		Turns   []map[string]any `json:"turns"`
		Wait    map[string]any   `json:"eou_to_first_audio_ms"`
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"state", "invariant_violations", "digest", "recording"} {
		if _, there := got.Session[key]; !there {
			t.Errorf("session has no %s", key)
		}
	}
	for i, turn := range got.Turns {
		for _, key := range []string{
			"turn_id", "transcript", "reply", "heard_text", "terminal", "reason", "eou_to_first_audio_ms", "cancel_to_fence_us", "frames_after_fence",
		} {
			if _, there := turn[key]; !there {
				t.Errorf("turns[%d] has no %s", i, key)
			}
		}
	}
	// What did not occur is null, not 0.
	if wait, fence := got.Turns[5]["eou_to_first_audio_ms"], got.Turns[0]["cancel_to_fence_us"]; wait != nil || fence != nil {
		t.Errorf("a turn without audio waited %v, one without cancel was fenced after %v", wait, fence)
	}
	if wait, fence := got.Turns[0]["eou_to_first_audio_ms"], got.Turns[2]["cancel_to_fence_us"]; wait != 101.0 || fence != 12.4 {
		t.Errorf("waited %v, fenced after %v", wait, fence)
	}
	if got.Wait["p50"] != 109.6 || got.Wait["p95"] != 118.2 || got.Wait["count"] != 5.0 {
		t.Errorf("spread is %v", got.Wait)
	}
}

func TestSummaryOfNothing(t *testing.T) {
	s := SummaryOf(Data{})
	if s.EOUToFirstAudioMs != nil || s.CancelToFenceUs != nil {
		t.Errorf("percentiles of nothing: %v, %v", s.EOUToFirstAudioMs, s.CancelToFenceUs)
	}
	var out bytes.Buffer
	if err := WriteSummary(&out, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"turns": []`, `"violations": []`, `"notes": []`, `"engines": []`, `"peak_memory_bytes": null`} {
		if !bytes.Contains(out.Bytes(), []byte(want)) {
			t.Errorf("the summary does not hold %s", want)
		}
	}
}

// The parts add up to the measured total whatever order the instants come in, and whichever of them are missing.
func TestLatencyPartsAddUp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		draw := func() *float64 {
			if random.IntN(5) == 0 {
				return nil
			}
			return At(time.Duration(random.IntN(3_000_000)) * time.Microsecond)
		}
		turn := Turn{
			EOUMs: draw(), OpenedMs: draw(), STTFinalMs: draw(), FirstTokenMs: draw(), FirstSegmentMs: draw(),
			FirstAudioMs: draw(), PlaybackStartedMs: draw(),
		}
		latencies := LatenciesOf(&turn)
		if (latencies.EOUToFirstAudioMs == nil) != (turn.EOUMs == nil || turn.PlaybackStartedMs == nil) {
			t.Fatalf("total is %v for %+v", latencies.EOUToFirstAudioMs, turn)
		}
		if latencies.EOUToFirstAudioMs == nil {
			if len(latencies.Parts()) > 0 {
				t.Fatalf("parts without a total: %v", latencies.Parts())
			}
			continue
		}
		sum := 0.0
		for _, part := range latencies.Parts() {
			if part.Ms < 0 {
				t.Fatalf("%s is %v", part.Key, part.Ms)
			}
			sum += part.Ms
		}
		if math.Abs(sum-*latencies.EOUToFirstAudioMs) > 0.0005 {
			t.Fatalf("parts add up to %v of %v: %+v", sum, *latencies.EOUToFirstAudioMs, latencies.Parts())
		}
	}
}

func TestSpreadIsNearestRank(t *testing.T) {
	got := *spreadOf([]float64{5, 1, 4, 2, 3})
	if want := (Spread{Count: 5, P50: 3, P95: 5, Max: 5}); got != want {
		t.Errorf("spread is %+v, want %+v", got, want)
	}
	if got := *spreadOf([]float64{7}); got != (Spread{Count: 1, P50: 7, P95: 7, Max: 7}) {
		t.Errorf("spread of one is %+v", got)
	}
}

func TestSplitHeard(t *testing.T) {
	for _, c := range []struct {
		reply, heard, first, rest string
		ok                        bool
	}{
		{"One, two. Three.", "One, two.", "One, two.", "Three.", true},
		{"One, two. Three.", "one two", "One, two.", "Three.", true},
		{"One, two. Three.", "", "", "One, two. Three.", true},
		{"One, two. Three.", "One, two. Three.", "One, two. Three.", "", true},
		{"It’s 3 o’clock, Ángel.", "it's 3 o'clock", "It’s 3 o’clock,", "Ángel.", true},
		{"今日は晴れです。明日は雨。", "今日は晴れです", "今日は晴れです。", "明日は雨。", true},
		{"One two", "One three", "", "", false},
		{"One", "One two", "", "", false},
	} {
		first, rest, ok := splitHeard(c.reply, c.heard)
		if first != c.first || rest != c.rest || ok != c.ok {
			t.Errorf("splitHeard(%q, %q) = %q, %q, %v", c.reply, c.heard, first, rest, ok)
		}
	}
}

func TestFloorChangesHands(t *testing.T) {
	d := Data{
		Session: Session{DurationMs: 10_000},
		Speech:  []Speech{{100, VoiceOn}, {900, VoiceOff}, {1200, EndOfUtterance}, {4000, VoiceOn}, {6000, VoiceOff}, {9000, VoiceOn}},
		Turns: []Turn{
			{PlaybackStartedMs: ptr(2000), PlaybackEndMs: ptr(4300), Hold: []Hold{{4040, 4300, VerdictConfirmed}}},
			{OpenedMs: ptr(7000)},
		},
	}
	want := []floorSpan{{100, 900, "caller"}, {2000, 4000, "agent"}, {4000, 4040, "both"}, {4040, 4300, "held"}, {4300, 6000, "caller"}, {9000, 10_000, "caller"}}
	got := floorOf(&d)
	if len(got) != len(want) {
		t.Fatalf("floor is %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("span %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestTracerKeepsExtremes(t *testing.T) {
	tracer, err := NewTracer(16_000, 5)
	if err != nil {
		t.Fatal(err)
	}
	samples := make([]int16, 200)
	samples[0], samples[79], samples[80], samples[199] = -32768, 100, 7, 32767
	for _, piece := range [][]int16{samples[:33], samples[33:150], nil, samples[150:]} {
		tracer.Add(piece)
	}
	e := tracer.Envelope()
	wantMin, wantMax := []int16{-32768, 0, 0}, []int16{100, 7, 32767}
	for i := range wantMin {
		if len(e.Min) != 3 || e.Min[i] != wantMin[i] || e.Max[i] != wantMax[i] {
			t.Fatalf("envelope is %v %v, want %v %v", e.Min, e.Max, wantMin, wantMax)
		}
	}
	text, err := json.Marshal(e)
	if err != nil || string(text) != `{"bucket_ms":5,"pairs":"AIBkAAAABwAAAP9/"}` {
		t.Errorf("envelope encodes as %s, %v", text, err)
	}
	for _, bad := range [][2]int{{0, 5}, {11_025, 5}, {16_000, 0}} {
		if _, err := NewTracer(bad[0], bad[1]); err == nil {
			t.Errorf("accepted %d Hz in %d ms", bad[0], bad[1])
		}
	}
}

func TestDurationReads(t *testing.T) {
	for ms, want := range map[float64]string{0: "0 ms", 0.0124: "12.4 µs", 0.64: "640 µs", 31.4: "31.4 ms", 820: "820.0 ms", 12_345: "12.35 s"} {
		if got := duration(ms); got != want {
			t.Errorf("duration(%v) = %q, want %q", ms, got, want)
		}
	}
	if got := clock(61_002.4); got != "1:01.002" {
		t.Errorf("clock = %q", got)
	}
}
