// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write what the view shows now into testdata")

// golden compares with testdata/name; -rewrite accepts the difference, which is then reviewed as prose.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run go test -rewrite", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", name, got, want)
	}
}

func ms(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

// conversation plays three turns: a plain one, one with a cough, one that is interrupted. at sees every step.
func conversation(v *View, at func(step string)) {
	v.Note(0, "caller.wav: 44100 Hz stereo converted to 16000 Hz mono")
	v.Plays(ms(800), "caller.wav", "What time is it?")
	v.Floor(ms(900), Caller)
	for i, level := range []float64{0.1, 0.4, 0.9, 0.3} {
		v.Tick(ms(920+60*float64(i)), level, 0)
	}
	v.Partial(ms(1200), "what")
	v.Partial(ms(1500), "what time")
	v.Partial(ms(1600), "what time")
	v.Partial(ms(1900), "what time is it")
	at("the caller speaks")
	v.Floor(ms(2300), Nobody)
	v.Turn(ms(2600.2), 1, "opening", "")
	v.Turn(ms(2600.6), 1, "active", "")
	v.Final(ms(2631.4), "what time is it")
	v.Floor(ms(2701), Agent)
	v.Say(ms(2701), "It is three minutes past two.")
	v.Latency(ms(2701), ms(101), []Part{{"final", ms(31.4)}, {"TTFT", ms(3.5)}, {"segment", ms(17.3)}, {"TTFB", ms(39.8)}, {"sink", ms(9)}})
	v.Turn(ms(3010), 1, "commit", "")
	v.Turn(ms(3010.3), 1, "closed", "")
	for i := range 20 {
		v.Speaking(ms(3100+20*float64(i)), "It is three minutes past two."[:5+i])
		v.Tick(ms(3100+20*float64(i)), 0, 0.5)
	}
	at("the agent speaks")
	v.Hold(ms(3600), 1)
	at("the agent holds")
	v.Resume(ms(4420), 1, ms(820))
	v.Dismissed(ms(4420), "ma")
	v.Said(ms(6101), "It is three minutes past two.", "")
	v.Turn(ms(18_700), 2, "active", "")
	v.Final(ms(18_731), "tell me a long story about the sea")
	v.Floor(ms(18_810), Agent)
	v.Latency(ms(18_810), ms(48), []Part{{"final", ms(25)}, {"TTFT", ms(1)}, {"segment", 0}, {"TTFB", ms(22)}, {"sink", 0}})
	v.Say(ms(18_810), "Once there was a lighthouse keeper who had never learned to swim.")
	v.Say(ms(23_000), "Every evening he lit the lamp and counted the ships as they came home.")
	v.Speaking(ms(26_000), "Once there was a lighthouse keeper who had never learned to swim. Every evening he lit the lamp and")
	v.Tick(ms(26_000), 0, 0.4)
	at("a long reply")
	v.Floor(ms(27_800), Both)
	v.Hold(ms(27_810), 2)
	v.BargeIn(ms(28_111), 2, 12400*time.Nanosecond)
	v.Turn(ms(28_111), 2, "abort", "cancelled")
	v.Said(ms(28_111), "Once there was a lighthouse keeper who had never learned to swim. Every evening he lit the lamp", "and counted the ships as they came home. "+strings.Repeat("Some did not. ", 40))
	v.Partial(ms(28_400), "stop")
	at("interrupted")
	_ = v.Close()
	at("closed")
}

func TestPlainLines(t *testing.T) {
	var out bytes.Buffer
	conversation(New(&out, false, nil), func(string) {})
	if strings.ContainsAny(out.String(), "\x1b\r") {
		t.Error("plain output has escapes")
	}
	golden(t, "plain.txt", out.String())
}

func TestTerminal(t *testing.T) {
	for _, columns := range []int{100, 72, 30} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			s := newScreen(t, columns)
			var seen strings.Builder
			v := Open(Settings{Out: s, Terminal: true, Width: func() int { return s.columns }})
			conversation(v, func(step string) {
				fmt.Fprintf(&seen, "== %s\n%s", step, s)
				if step != "closed" && !s.hidden {
					t.Errorf("the cursor shows while %s", step)
				}
			})
			if s.hidden || s.column != 0 || s.styled {
				t.Errorf("after Close: cursor hidden %v, in column %d, styled %v", s.hidden, s.column, s.styled)
			}
			golden(t, fmt.Sprintf("terminal-%d.txt", columns), seen.String())
		})
	}
}

// The colours only colour: taken away, the same cells remain, but for the words that are struck through instead of bracketed.
func TestTerminalColours(t *testing.T) {
	var out bytes.Buffer
	conversation(New(&out, true, func() int { return 100 }), func(string) {})
	golden(t, "colours.txt", strings.NewReplacer("\x1b", "␛", "\r\n", "\n", "\r", "␍").Replace(out.String()))
	s := newScreen(t, 100)
	if _, err := s.Write(out.Bytes()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.String(), "lit the lamp and counted the ships") {
		t.Errorf("the screen shows:\n%s", s)
	}
}

// Whatever the width becomes between two drawings, the live area never leaves anything behind.
func TestResizeLeavesNothingBehind(t *testing.T) {
	s := newScreen(t, 120)
	v := Open(Settings{Out: s, Terminal: true, Width: func() int { return s.columns }})
	v.Note(0, "begin")
	for i := range 200 {
		s.resize([]int{120, 37, 80, 12, 61, 200, 5}[i%7])
		at := ms(float64(100 * (i + 1)))
		v.Floor(at, Holder(i%5))
		v.Partial(at, strings.Repeat("word 日本語 🎙️ ", i%9))
		v.Tick(at, 0.5, 0.2)
	}
	v.Note(ms(30_000), "end")
	s.resize(120)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(s.String()); strings.Join(got, " ") != "0:00.000 note begin 0:30.000 note end" {
		t.Errorf("the screen shows:\n%s", s)
	}
}

func TestWideAndHostileText(t *testing.T) {
	hostile := "a\x1b[2Jb\r\nc\td\x07\u202eevil\u2066 \u2028e\x9b31m\xff 日本語テキスト"
	if got, want := clean(hostile), "a[2Jb c devil e\ufffd31m\ufffd 日本語テキスト"; got != want {
		t.Errorf("clean = %q, want %q", got, want)
	}
	s := newScreen(t, 40)
	v := Open(Settings{Out: s, Terminal: true, Color: true, Width: func() int { return 40 }})
	// The screen fails the test on any sequence that is not the view's own.
	v.Partial(0, hostile)
	v.Final(0, hostile)
	v.Turn(0, 1, "abort", hostile)
	v.Say(0, hostile)
	v.Speaking(0, hostile)
	v.Plays(0, hostile, hostile)
	v.Dismissed(0, hostile)
	v.Said(0, hostile, hostile)
	v.Note(0, hostile)
	v.Latency(0, 0, []Part{{hostile, time.Second}})
	v.Final(0, strings.Repeat("日本語の長い文", 20)+"👩‍👩‍👧‍👦")
	for i, r := range s.rows {
		if r.wrapped {
			t.Errorf("row %d ran over the edge:\n%s", i, s)
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestClipsByCells(t *testing.T) {
	for _, c := range []struct {
		text string
		room int
		want string
	}{{"abcdef", 6, "abcdef"}, {"abcdef", 4, "…def"}, {"日本語です", 5, "…です"}, {"日本語です", 6, "… です"}, {"ab", 0, ""}} {
		got := clipLeft(c.text, c.room, "…")
		if cells(got) > max(c.room, 1) {
			t.Errorf("clipLeft(%q, %d) = %q", c.text, c.room, got)
		}
		if c.room > 0 && strings.TrimSpace(got) != c.want {
			t.Errorf("clipLeft(%q, %d) = %q, want %q", c.text, c.room, got, c.want)
		}
	}
}

type broken struct{ calls int }

var errBroken = errors.New("broken pipe")

func (b *broken) Write([]byte) (int, error) { b.calls++; return 0, errBroken }

func TestCloseReportsTheFirstError(t *testing.T) {
	b := &broken{}
	v := New(b, false, nil)
	v.Note(0, "one")
	v.Note(0, "two")
	if err := v.Close(); !errors.Is(err, errBroken) || b.calls != 1 {
		t.Errorf("error %v after %d writes", err, b.calls)
	}
}

func TestNothingAfterClose(t *testing.T) {
	var out bytes.Buffer
	v := New(&out, true, nil)
	v.Tick(0, 0, 0)
	for range 2 {
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	length := out.Len()
	v.Note(0, "late")
	v.Tick(ms(900), 1, 1)
	if out.Len() != length {
		t.Errorf("drew %q after Close", out.String()[length:])
	}
}

func TestPanicRestoresTheCursor(t *testing.T) {
	s := newScreen(t, 60)
	func() {
		defer func() { _ = recover() }()
		v := Open(Settings{Out: s, Terminal: true})
		defer func() { _ = v.Close() }()
		v.Floor(0, Caller)
		panic("in the middle")
	}()
	if s.hidden || strings.TrimSpace(s.String()) != "" {
		t.Errorf("hidden %v, screen:\n%s", s.hidden, s)
	}
}

func TestDetect(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := Detect(file, func(string) string { return "" })
	if got.Terminal || got.Color || got.ASCII || got.Width() != 0 {
		t.Errorf("a file is %+v", got)
	}
	for locale, want := range map[string]bool{"": false, "C": true, "POSIX": true, "en_US.UTF-8": false, "C.utf8": false, "de_DE.ISO-8859-1": true} {
		if got := sevenBit(func(name string) string { return map[string]string{"LANG": locale}[name] }); got != want {
			t.Errorf("LANG=%s is seven bits: %v", locale, got)
		}
	}
}
