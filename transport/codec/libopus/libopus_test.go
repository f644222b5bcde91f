// SPDX-License-Identifier: Apache-2.0

package libopus

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/engines/enginestest"
	"github.com/parley-voice/parley/internal/voices"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

func engine(tb testing.TB) string {
	tb.Helper()
	path := enginestest.Set(tb).Opus()
	if path == "" {
		tb.Fatal("the engines that are set up have no encoder of Opus: run make engines")
	}
	return path
}

func open(tb testing.TB, c Config) *Library {
	tb.Helper()
	c.Engine = engine(tb)
	if c.Compiled == "" {
		c.Compiled = enginestest.Set(tb).Compiled()
	}
	l, err := New(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}

func encoderOf(tb testing.TB, l *Library) codec.Encoder {
	tb.Helper()
	e, err := l.NewEncoder()
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// speech is a person's voice, in whole frames.
func speech(tb testing.TB) []int16 {
	tb.Helper()
	all, err := voices.All()
	if err != nil {
		tb.Fatal(err)
	}
	clip, err := all[0].Clip()
	if err != nil {
		tb.Fatal(err)
	}
	return clip.PCM[:len(clip.PCM)/transport.FrameSamples*transport.FrameSamples]
}

func packets(tb testing.TB, e codec.Encoder, pcm []int16) [][]byte {
	tb.Helper()
	var list [][]byte
	for frame := range slices.Chunk(pcm, transport.FrameSamples) {
		packet, err := e.Encode(nil, frame)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, packet)
	}
	return list
}

// A voice goes there and back: it is late by what Opus looks ahead, and as alike as from
// libopus without WebAssembly (0.79), which takes out what lies below the voice.
func TestAVoiceThereAndBack(t *testing.T) {
	l := open(t, Config{})
	pcm := speech(t)
	e := encoderOf(t, l)
	defer e.Close()
	d, err := codec.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	var out []int16
	size := 0
	for _, packet := range packets(t, e, pcm) {
		size += len(packet)
		if out, err = d.Decode(out, packet); err != nil {
			t.Fatal(err)
		}
	}
	if len(out) != len(pcm) {
		t.Errorf("%d samples come back of %d", len(out), len(pcm))
	}
	lag, alike := alignment(pcm, out)
	rate := size * 8 * transport.SampleRate / len(pcm)
	if alike < 0.75 || lag > 400 || rate > 2*DefaultBitrate {
		t.Errorf("correlation %.3f at a lag of %d samples, %d bits/s", alike, lag, rate)
	}
	t.Logf("correlation %.3f at a lag of %d samples, %d bits/s", alike, lag, rate)
}

// alignment finds the lag at which b is most like a, and how much (normalised correlation).
func alignment(a, b []int16) (lag int, alike float64) {
	for l := range 500 {
		var ab, aa, bb float64
		for i := 0; i+l < len(b); i += 3 {
			x, y := float64(a[i]), float64(b[i+l])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		if c := ab / math.Sqrt(aa*bb+1); c > alike {
			lag, alike = l, c
		}
	}
	return lag, alike
}

// Rules 1 and 3, with streams side by side.
func TestStreamsDoNotSeeEachOther(t *testing.T) {
	l := open(t, Config{})
	pcm := speech(t)[:100*transport.FrameSamples]
	first := encoderOf(t, l)
	defer first.Close()
	want := packets(t, first, pcm)
	first.Reset()
	if got := packets(t, first, pcm); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Error("the same frames give other packets after Reset")
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			e, err := l.NewEncoder()
			if err != nil {
				t.Error(err)
				return
			}
			defer e.Close()
			for i, frame := range slices.Collect(slices.Chunk(pcm, transport.FrameSamples)) {
				if got, err := e.Encode(nil, frame); err != nil || !bytes.Equal(got, want[i]) {
					t.Errorf("frame %d differs: %v", i, err)
					return
				}
			}
		})
	}
	group.Wait()
}

func TestAFrameTakesNoMemory(t *testing.T) {
	e := encoderOf(t, open(t, Config{}))
	defer e.Close()
	pcm, packet := speech(t)[:transport.FrameSamples], make([]byte, 0, maxPacket)
	if n := testing.AllocsPerRun(50, func() { packet, _ = e.Encode(packet[:0], pcm) }); n != 0 || len(packet) == 0 {
		t.Errorf("%v allocations a frame, %d bytes", n, len(packet))
	}
}

// A broken instance costs a frame.
func TestAFaultIsSurvived(t *testing.T) {
	e := encoderOf(t, open(t, Config{})).(*encoder)
	defer e.Close()
	frame := make([]int16, transport.FrameSamples)
	e.packet = 1 << 30
	if _, err := e.Encode(nil, frame); err == nil || !strings.Contains(err.Error(), "outside of its memory") {
		t.Errorf("said %v", err)
	}
	if packet, err := e.Encode(nil, frame); err != nil || len(packet) == 0 {
		t.Errorf("the next frame: %d bytes, %v", len(packet), err)
	}
}

func TestOtherLengthsAreRefused(t *testing.T) {
	e := encoderOf(t, open(t, Config{}))
	defer e.Close()
	for _, n := range []int{0, 319, 640} {
		if _, err := e.Encode(nil, make([]int16, n)); err == nil || !strings.HasPrefix(err.Error(), "libopus: pcm: ") {
			t.Errorf("%d samples: said %v", n, err)
		}
	}
}

// Rule 4.
func TestEncodersAreBounded(t *testing.T) {
	l := open(t, Config{Encoders: 2, Loss: 10, Compiled: t.TempDir()})
	a, b := encoderOf(t, l), encoderOf(t, l)
	var refused *transport.RefusedError
	if _, err := l.NewEncoder(); !errors.As(err, &refused) || refused.Code != transport.RefusedCapacity {
		t.Errorf("said %v", err)
	}
	a.Close()
	a.Close()
	c := encoderOf(t, l)
	if _, err := l.NewEncoder(); err == nil {
		t.Error("closing twice makes room for two")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	for _, e := range []codec.Encoder{a, b, c} {
		if _, err := e.Encode(nil, make([]int16, transport.FrameSamples)); !errors.Is(err, errClosed) {
			t.Errorf("after Close: said %v", err)
		}
		e.Reset()
		e.Close()
	}
}

func TestWhatIsNoEngineIsNamed(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "opus.wasm")
	if _, err := New(t.Context(), Config{Engine: missing}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), remedy) {
		t.Errorf("said %v", err)
	}
	// A module that is whole, and has none of the functions.
	for _, code := range []string{"no module", "\x00asm\x01\x00\x00\x00"} {
		if err := os.WriteFile(missing, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(t.Context(), Config{Engine: missing}); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("said %v", err)
		}
	}
}

func TestConfigReportsAllFaults(t *testing.T) {
	_, err := New(t.Context(), Config{Bitrate: 1, Effort: 11, Loss: -1, Encoders: -1})
	for _, field := range []string{"engine", "bitrate", "effort", "loss", "encoders"} {
		if err == nil || !strings.Contains(err.Error(), "libopus: "+field+": ") {
			t.Errorf("%s is not reported: %v", field, err)
		}
	}
}

// BenchmarkEncode gives what a frame of 20 ms takes, and the time that 95 of 100 stay below.
func BenchmarkEncode(b *testing.B) {
	e := encoderOf(b, open(b, Config{}))
	defer e.Close()
	pcm := speech(b)
	packet := make([]byte, 0, maxPacket)
	var took []time.Duration
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := i * transport.FrameSamples % len(pcm)
		began := time.Now()
		packet, _ = e.Encode(packet[:0], pcm[at:at+transport.FrameSamples])
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100])/1e6, "p95-ms")
}
