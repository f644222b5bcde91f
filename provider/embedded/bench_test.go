// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

const benchText = "Your table for two is booked at seven thirty this evening."

// BenchmarkSpeak gives the time to the first audio and to the whole of a sentence.
func BenchmarkSpeak(b *testing.B) {
	f := newFlite(b, 1)
	if err := f.Warm(b.Context()); err != nil {
		b.Fatal(err)
	}
	var first time.Duration
	samples := 0
	b.ReportAllocs()
	for b.Loop() {
		start, heardAny := time.Now(), false
		o := f.Synthesize(b.Context(), providertest.NewCall(provider.ModalityTTS), provider.Speech{Text: benchText}, func(c provider.Chunk) {
			if c.Kind == provider.ChunkAudio && !heardAny {
				heardAny = true
				first += time.Since(start)
			}
			samples += len(c.PCM)
		})
		if o.Class != provider.OutcomeSuccess {
			b.Fatal(o)
		}
	}
	audio := float64(samples) / speakerRate
	b.ReportMetric(first.Seconds()*1000/float64(b.N), "ms-to-first/op")
	b.ReportMetric(b.Elapsed().Seconds()/audio, "x-real-time")
}

// BenchmarkHear gives the share of real time that recognising takes, the time from the
// end of an utterance to its text, and the share of words wrong, on the human recordings
// of the demo or, with PARLEY_CLIPS=FILE, on others. FILE holds one a line: path, words,
// speaker, separated by tabs; each is 16 kHz mono, raw or WAV with 44 bytes of header.
// docs/engines.md has figures and says of which recordings.
func BenchmarkHear(b *testing.B) {
	list := clips(b)
	for _, mode := range []string{"first utterance", "known caller"} {
		b.Run(mode, func(b *testing.B) {
			p := newPocketSphinx(b, 1)
			if err := p.Warm(b.Context()); err != nil {
				b.Fatal(err)
			}
			wrong, words, rounds := 0, 0, 0
			var audio, spent time.Duration
			var ends []time.Duration
			for b.Loop() {
				for i, c := range list {
					session := fmt.Sprintf("%s %d", c.speaker, rounds)
					if mode == "first utterance" {
						session += fmt.Sprint(" ", i)
					}
					start := time.Now()
					text, end := hearClip(b, p, session, c.pcm)
					spent += time.Since(start)
					audio += time.Duration(len(c.pcm)) * time.Second / recogniserRate
					ends = append(ends, end)
					want := normal(c.text)
					wrong += distance(want, normal(text))
					words += len(want)
				}
				rounds++
			}
			slices.Sort(ends)
			b.ReportMetric(spent.Seconds()/audio.Seconds(), "x-real-time")
			b.ReportMetric(ends[len(ends)/2].Seconds()*1000, "ms-end-p50")
			b.ReportMetric(ends[len(ends)-1].Seconds()*1000, "ms-end-max")
			b.ReportMetric(100*float64(wrong)/float64(words), "%words-wrong")
		})
	}
}

func hearClip(b *testing.B, p *PocketSphinx, session string, pcm []int16) (text string, end time.Duration) {
	b.Helper()
	call := providertest.NewCall(provider.ModalitySTT)
	call.SessionID = session
	s, err := p.Open(b.Context(), call, provider.STTConfig{SampleRate: recogniserRate}, func(c provider.Chunk) {
		if c.Kind == provider.ChunkTextFinal {
			text = c.Text
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	for rest := pcm; len(rest) > 0; rest = rest[min(320, len(rest)):] {
		if err := s.Write(rest[:min(320, len(rest))]); err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now()
	if err := s.Finalize(); err != nil {
		b.Fatal(err)
	}
	end = time.Since(start)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return text, end
}

func clips(b *testing.B) []clip {
	b.Helper()
	path := os.Getenv("PARLEY_CLIPS")
	if path == "" {
		return recordings(b)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	var list []clip
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 {
			b.Fatalf("%s: want path, words and speaker, separated by tabs: %q", path, line)
		}
		raw, err := os.ReadFile(fields[0])
		if err != nil {
			b.Fatal(err)
		}
		if filepath.Ext(fields[0]) == ".wav" && len(raw) >= 44 {
			raw = raw[44:]
		}
		c := clip{text: fields[1], speaker: fields[2]}
		for ; len(raw) >= 2; raw = raw[2:] {
			c.pcm = append(c.pcm, int16(binary.LittleEndian.Uint16(raw)))
		}
		list = append(list, c)
	}
	return list
}
