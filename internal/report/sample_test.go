// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// sample is a made-up conversation with the figures of a real one: five turns, a cough that only holds, a barge-in, and
// a turn that the caller cut off before it could speak.
func sample(t *testing.T) Data {
	t.Helper()
	peak := int64(187_340_000)
	d := Data{
		Session: Session{
			ID: "ses-01k9w3t7", State: "ENDED", Reason: "caller_closed", Pipeline: "voice-agent/v1", Profile: "simple/v1",
			Mode: ModeReal, StartedAt: "2026-11-12T14:03:22Z", DurationMs: 47_320,
			Digest:    "9f2c51a7e04bd8836e51c0ffeb2a94417d03a6c8e5b1f2907ac4d8e6135b7f20",
			Recording: "demo/recording", Audio: "conversation.wav",
			Engines: []Engine{
				{Role: "vad", Name: "silero", Version: "5"},
				{Role: "stt", Name: "pocketsphinx", Version: "5.0.4", Note: "WebAssembly"},
				{Role: "llm", Name: "responder", Scripted: true, Note: "answers from a script; set PARLEY_LLM_BASE_URL for a model"},
				{Role: "tts", Name: "flite", Version: "2.2", Note: "voice slt"},
			},
		},
		Process: Process{Version: "0.1.0", GoVersion: "go1.26", OS: "linux", Arch: "amd64", CPUs: 2, PeakMemoryBytes: &peak},
		Notes:   []string{"caller.wav: 44100 Hz, 2 channels, 24 bit converted to 16000 Hz mono"},
	}
	b := builder{d: &d}
	b.utter(900, 2600, "what time is it")
	b.answer(2600, 3400, answered{reply: "It is three minutes past two in the afternoon.", transcript: "what time is it"})
	b.utter(7300, 9100, "please count to five")
	b.answer(9100, 5200, answered{reply: "Of course. One, two, three, four, five.", transcript: "please count to five", cough: 1700})
	b.utter(16_200, 18_700, "tell me a long story about the sea")
	b.answer(18_700, 9000, answered{
		reply:      "Once there was a lighthouse keeper who had never learned to swim. Every evening he lit the lamp and counted the ships as they came home. One night a ship did not come, and he went down to the water to look for her.",
		heard:      "Once there was a lighthouse keeper who had never learned to swim. Every evening he lit the lamp",
		transcript: "tell me a long story about the sea", cancelled: true,
	})
	b.utter(27_200, 30_000, "stop what is your name")
	b.answer(30_000, 3100, answered{reply: "My name is Parley, and I am a scripted responder.", transcript: "stop what is your name"})
	b.utter(36_400, 38_000, "thank you and goodbye")
	b.answer(38_000, 4200, answered{reply: "Goodbye. It was a pleasure to talk to you.", transcript: "thank you and goodbye"})
	d.Voices = b.voices()
	d.Signals = append([]Signal{{AtMs: 0.4, Signal: "connected", Emitter: "transport"}}, b.signals...)
	return d
}

type answered struct {
	reply, heard, transcript string
	cancelled                bool
	cough                    float64 // ms into the playback at which the caller coughs; 0 for none
}

type builder struct {
	d             *Data
	signals       []Signal
	caller, agent [][2]float64
}

func (b *builder) utter(from, to float64, text string) {
	end := to - 320
	b.caller = append(b.caller, [2]float64{from, end})
	b.d.Speech = append(b.d.Speech, Speech{from + 40, VoiceOn}, Speech{end + 30, VoiceOff}, Speech{to, EndOfUtterance})
	words := strings.Fields(text)
	id := fmt.Sprintf("utt-%d", len(b.caller))
	for i := range words {
		b.d.Partials = append(b.d.Partials, Partial{
			AtMs: from + 300 + (end-from-200)*float64(i)/float64(len(words)), Utterance: id, Text: strings.Join(words[:i+1], " "),
		})
	}
	b.d.Partials = append(b.d.Partials, Partial{AtMs: to + 31.4, Utterance: id, TurnID: fmt.Sprintf("turn-%d", len(b.d.Turns)+1), Text: text, Final: true})
}

func (b *builder) answer(eou, length float64, a answered) {
	n := len(b.d.Turns) + 1
	ms := func(after float64) *float64 { v := eou + after; return &v }
	sink := 96.7 + 4.3*float64(n)
	turn := Turn{
		TurnID: fmt.Sprintf("turn-%d", n), Index: n, ProposedMs: ms(0.21), OpenedMs: ms(0.64), EOUMs: ms(0), STTFinalMs: ms(31.4),
		FirstTokenMs: ms(34.9), FirstSegmentMs: ms(52.2), FirstAudioMs: ms(sink - 9), PlaybackStartedMs: ms(sink), PlaybackEndMs: ms(sink + length),
		TerminalMs: ms(410), ClosedMs: ms(410.3), Transcript: a.transcript, Reply: a.reply, HeardText: a.reply, Terminal: "commit",
	}
	at := eou + 52.2
	for _, sentence := range strings.SplitAfter(a.reply, ". ") {
		turn.Segments = append(turn.Segments, Segment{AtMs: at, Text: sentence})
		at += 110
	}
	begin, end := eou+sink, eou+sink+length
	b.signal(&turn, eou+0.21, "turn_open_proposed", "runtime", "")
	b.signal(&turn, eou+0.6, "admit", "runtime", "")
	b.signal(&turn, eou+0.64, "turn_open", "runtime", "")
	b.signal(&turn, begin-0.4, "output_accepted", "transport", "")
	b.signal(&turn, begin, "playback_started", "transport", "")
	switch {
	case a.cancelled:
		detected, accepted := end-40, end+301.25
		fence := accepted + 0.0124
		turn.TerminalMs, turn.ClosedMs = &[]float64{accepted + 0.05}[0], &[]float64{accepted + 0.08}[0]
		turn.Terminal, turn.Reason, turn.HeardText = "abort", "cancelled", a.heard
		turn.HeardErrorMs = &[]float64{45}[0]
		turn.Hold = []Hold{{end, accepted, VerdictConfirmed}}
		us, through := 12.4, length
		turn.Cancel = &Cancel{DetectedMs: &detected, HeldMs: &end, AcceptedMs: accepted, FenceAppliedMs: &fence, CancelToFenceUs: &us, PlayedThroughMs: &through}
		b.agent = append(b.agent, [2]float64{begin, end})
		for _, name := range []string{"barge_in", "cancel"} {
			b.signal(&turn, accepted, name, "runtime", "barge_in")
		}
		b.signal(&turn, accepted+0.03, "playback_cancelled", "transport", "barge_in")
		b.signal(&turn, accepted+0.05, "abort", "runtime", "cancelled")
		b.signal(&turn, accepted+0.08, "close", "runtime", "")
	default:
		b.signal(&turn, eou+410, "commit", "runtime", "")
		b.signal(&turn, eou+410.3, "close", "runtime", "")
		if a.cough > 0 {
			from := begin + a.cough
			to := from + 820
			*turn.PlaybackEndMs += 820
			turn.Hold = []Hold{{from, to, VerdictResumed}}
			b.agent = append(b.agent, [2]float64{begin, from}, [2]float64{to, end + 820})
			b.caller = append(b.caller, [2]float64{from - 30, from + 110})
			b.d.Speech = append(b.d.Speech, Speech{from, VoiceOn}, Speech{from + 120, VoiceOff})
		} else {
			b.agent = append(b.agent, [2]float64{begin, end})
		}
		b.signal(&turn, *turn.PlaybackEndMs, "playback_completed", "transport", "")
	}
	b.d.Turns = append(b.d.Turns, turn)
}

func (b *builder) signal(turn *Turn, at float64, name, emitter, reason string) {
	b.signals = append(b.signals, Signal{AtMs: at, Signal: name, Emitter: emitter, TurnID: turn.TurnID, Reason: reason})
}

func (b *builder) voices() Voices {
	return Voices{Caller: babble(b.caller, b.d.Session.DurationMs, 0.16, 7), Agent: babble(b.agent, b.d.Session.DurationMs, 0.5, 3)}
}

// babble has the outline of speech: syllables of some 180 ms with pauses between words, over a little noise.
func babble(spans [][2]float64, length, loud float64, seed uint64) Envelope {
	random := rand.New(rand.NewPCG(seed, 1))
	e := Envelope{BucketMs: 5}
	level := 0.0
	for i := range int(length / 5) {
		at, target := float64(i*5), 0.004
		for _, span := range spans {
			if at >= span[0] && at < span[1] {
				syllable := math.Abs(math.Sin((at - span[0]) / 180 * math.Pi))
				word := 0.35 + 0.65*math.Pow(math.Sin((at-span[0])/700*math.Pi), 2)
				target = syllable * word * (0.7 + 0.3*random.Float64())
			}
		}
		level += (target - level) * 0.5
		e.Max = append(e.Max, int16(32767*loud*level*(0.8+0.2*random.Float64())))
		e.Min = append(e.Min, int16(-32767*loud*level*(0.6+0.3*random.Float64())))
	}
	return e
}
