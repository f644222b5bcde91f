// SPDX-License-Identifier: Apache-2.0

package vad

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-voice/parley/node"
)

// says runs a machine over a script of frames: '#' is speech, '.' silence, '-' between
// the thresholds. It gives the events, with the frame that brought each and the frame
// that it speaks of.
func says(t *testing.T, c EndpointerConfig, script string) string {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	e := NewEndpointer(c)
	var got []string
	for i, f := range script {
		p := map[rune]float32{'#': 0.9, '.': 0.1, '-': 0.4}[f]
		voice, at := e.Push(p)
		name := [...]string{"", "on", "off", "end"}[voice]
		if voice != VoiceNothing {
			got = append(got, fmt.Sprintf("%s:%d@%d", name, at/FrameSamples, i))
		}
	}
	return strings.Join(got, " ")
}

func TestEndpointer(t *testing.T) {
	silence := strings.Repeat(".", 20)
	for _, c := range []struct{ name, script, want string }{
		{"an utterance", "..####" + silence, "on:2@3 off:6@7 end:6@21"},
		{"a click is no speech", "..#..#.." + silence, ""},
		{"between the thresholds nothing changes", "--..##----" + silence, "on:4@5 off:10@11 end:10@25"},
		{"a start survives a doubtful frame", "..#-" + silence, "on:2@3 off:4@5 end:4@19"},
		{"a doubtful frame starts nothing", ".." + strings.Repeat("-", 20), ""},
		{"a dip is no stop", "..##.##" + silence, "on:2@3 off:7@8 end:7@22"},
		{"a pause does not end the utterance", "##" + strings.Repeat(".", 10) + "##" + silence, "on:0@1 off:2@3 on:12@13 off:14@15 end:14@29"},
		{"a click in the pause does not prolong it", "##" + strings.Repeat(".", 8) + "#" + silence, "on:0@1 off:2@3 end:2@17"},
		{"the end waits for a start that is being made up", "##" + strings.Repeat(".", 15) + "##" + silence, "on:0@1 off:2@3 on:17@18 off:19@20 end:19@34"},
		{"the end comes when that start comes to nothing", "##" + strings.Repeat(".", 15) + "#" + silence, "on:0@1 off:2@3 end:2@18"},
		{"two utterances", "##" + silence + "##" + silence, "on:0@1 off:2@3 end:2@17 on:22@23 off:24@25 end:24@39"},
	} {
		if got := says(t, EndpointerConfig{}, c.script); got != c.want {
			t.Errorf("%s: %s\n got %s\nwant %s", c.name, c.script, got, c.want)
		}
	}
	quick := EndpointerConfig{MinSpeechMS: 32, MinSilenceMS: 32, EndpointingMS: 96}
	if got, want := says(t, quick, ".#...."), "on:1@1 off:2@2 end:2@4"; got != want {
		t.Errorf("with short times: got %s, want %s", got, want)
	}
}

func TestEndpointerThresholds(t *testing.T) {
	e := NewEndpointer(EndpointerConfig{MinSpeechMS: 32})
	if v, _ := e.Push(0.499); v != VoiceNothing {
		t.Error("0.499 is below the threshold")
	}
	if v, at := e.Push(0.5); v != VoiceOn || at != FrameSamples {
		t.Errorf("0.5 is speech: got %v at %d", v, at)
	}
}

func TestEndpointerConfigFaults(t *testing.T) {
	if err := (EndpointerConfig{}).Validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
	err := EndpointerConfig{OnPermille: 2000, OffPermille: -1, MinSpeechMS: -1, EndpointingMS: 10}.Validate()
	for _, field := range []string{"on_permille: 2000", "off_permille: -1", "min_speech_ms: -1", "endpointing_ms: 10"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%q is not reported in %v", field, err)
		}
	}
}

// loud finds speech where samples are loud; it counts resets.
type loud struct{ resets int }

func (l *loud) Probability(frame *[FrameSamples]int16) float32 {
	for _, v := range frame {
		if v > 1000 {
			return 0.9
		}
	}
	return 0.05
}
func (l *loud) Reset() { l.resets++ }

// tone is loud from sample to sample.
func tone(total, from, to int) []int16 {
	pcm := make([]int16, total)
	for i := from; i < to; i++ {
		pcm[i] = 5000
	}
	return pcm
}

func TestEndpointNodeTakesPiecesOfAnySize(t *testing.T) {
	pcm := tone(48000, 10*FrameSamples, 30*FrameSamples)
	want := "voice_on 5120 6144, voice_off 15360 16384, end_of_utterance 15360 23552"
	for _, size := range []int{1, 100, 320, 512, 4000} {
		n, err := NewEndpointNode(&loud{}, EndpointerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		ctx := &node.Context{Out: func(ev *node.Event) {
			got = append(got, fmt.Sprintf("%s %d %d", ev.Type, ev.Sample, ev.Heard))
		}}
		for at := 0; at < len(pcm); at += size {
			piece := pcm[at:min(at+size, len(pcm))]
			if err := n.OnEvent(ctx, &node.Event{Type: node.TypeAudioChunk, Sample: int64(at), PCM: piece}); err != nil {
				t.Fatal(err)
			}
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("pieces of %d: %s, want %s", size, s, want)
		}
	}
}

func TestEndpointNodeGap(t *testing.T) {
	l := &loud{}
	n, err := NewEndpointNode(l, EndpointerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var on int64 = -1
	ctx := &node.Context{Out: func(ev *node.Event) {
		if ev.Type == node.TypeVoiceOn {
			on = ev.Sample
		}
	}}
	give := func(at int64, pcm []int16) {
		if err := n.OnEvent(ctx, &node.Event{Type: node.TypeAudioChunk, Sample: at, PCM: pcm}); err != nil {
			t.Fatal(err)
		}
	}
	give(0, tone(700, 0, 700))
	give(10000, tone(2048, 0, 2048))
	if l.resets != 1 {
		t.Errorf("%d resets, want one for the gap", l.resets)
	}
	if on != 10000 {
		t.Errorf("speech began at %d, want 10000: what the gap cut does not count", on)
	}
}

func TestEndpointNodeDoesNotAllocate(t *testing.T) {
	n, err := NewEndpointNode(&loud{}, EndpointerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := &node.Context{Out: func(*node.Event) {}}
	ev := &node.Event{Type: node.TypeAudioChunk, PCM: make([]int16, 320)}
	if allocs := testing.AllocsPerRun(200, func() {
		if err := n.OnEvent(ctx, ev); err != nil {
			t.Fatal(err)
		}
		ev.Sample += 320
	}); allocs != 0 {
		t.Errorf("%v allocations a frame", allocs)
	}
}

// eager is a prober that says that it is quick, or not.
type eager struct {
	*loud
	quick bool
}

func (e eager) Quick() bool { return e.quick }

// The node is declared inline where its prober says that it takes no time, and only there.
func TestEndpointNodeIsInlineWithAQuickProber(t *testing.T) {
	for _, row := range []struct {
		prober Prober
		want   bool
	}{{&loud{}, false}, {eager{&loud{}, false}, false}, {eager{&loud{}, true}, true}} {
		n, err := NewEndpointNode(row.prober, EndpointerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if n.Declaration().Inline != row.want || node.Check(n) != nil {
			t.Errorf("%T: inline %v, %v", row.prober, n.Declaration().Inline, node.Check(n))
		}
	}
}
