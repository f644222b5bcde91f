// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/audio"
	"github.com/parley-voice/parley/internal/engines/enginestest"
	"github.com/parley-voice/parley/internal/report"
	"github.com/parley-voice/parley/internal/voices"
)

// runDemoCommand holds a conversation in virtual time with the real engines and gives
// its summary, which is all that standard output holds.
func runDemoCommand(t *testing.T, code int, args ...string) (report.Summary, result) {
	t.Helper()
	enginestest.Set(t)
	r := runParley(t, "", append([]string{"demo", "--fast", "--json"}, args...)...)
	if r.code != code {
		t.Fatalf("parley demo %q: exit code %d, want %d\n%s", args, r.code, code, r.errOut)
	}
	var s report.Summary
	decoder := json.NewDecoder(strings.NewReader(r.out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		t.Fatalf("standard output is not the summary: %v\n%s", err, r.out)
	}
	if decoder.More() {
		t.Errorf("standard output holds more than one document:\n%s", r.out)
	}
	return s, r
}

// voiceFile writes a recording of a person as a WAV file.
func voiceFile(t *testing.T, id string) string {
	t.Helper()
	v, err := voices.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	wav, err := v.WAV()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), id+".wav")
	if err := os.WriteFile(path, wav, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The main job, twice: a conversation on human recordings with an interruption and a
// sound that is none, and the same one again.
func TestDemo(t *testing.T) {
	root := t.TempDir()
	outs := []string{filepath.Join(root, "one"), filepath.Join(root, "two")}
	first, _ := runDemoCommand(t, exitOK, "--llm", "scripted", "--out", outs[0])
	second, _ := runDemoCommand(t, exitOK, "--llm", "scripted", "--out", outs[1])

	t.Run("conversation", func(t *testing.T) { checkConversation(t, first) })
	t.Run("folder", func(t *testing.T) { checkFolder(t, outs[0], first) })
	t.Run("again", func(t *testing.T) {
		if first.Session.Digest != second.Session.Digest || len(first.Session.Digest) != 64 {
			t.Errorf("digests are %s and %s", first.Session.Digest, second.Session.Digest)
		}
		a, b := oneSegment(t, outs[0]), oneSegment(t, outs[1])
		if !slices.Equal(a, b) {
			t.Error("equal runs leave recordings that are not equal byte for byte")
		}
	})
	t.Run("occupied", func(t *testing.T) {
		before := oneSegment(t, outs[0])
		r := runParley(t, "", "demo", "--fast", "--llm", "scripted", "--out", outs[0])
		if r.code != exitUsage || !strings.Contains(r.errOut, "--overwrite") || r.out != "" {
			t.Errorf("a second demo: exit code %d\n%s%s", r.code, r.out, r.errOut)
		}
		if !slices.Equal(before, oneSegment(t, outs[0])) {
			t.Error("the first one was touched")
		}
	})
	t.Run("replay", func(t *testing.T) { checkReplay(t, first.Session.Recording, first.Session.Digest) })
	t.Run("damage", func(t *testing.T) { checkDamage(t, first.Session.Recording) })
}

func checkConversation(t *testing.T, s report.Summary) {
	t.Helper()
	if len(s.Turns) < 4 || s.Session.State != "ENDED" || s.Session.Reason != "conversation_over" || s.Session.Mode != report.ModeFast {
		t.Errorf("%d turns, session is %+v", len(s.Turns), s.Session)
	}
	if s.Session.InvariantViolations != 0 || s.FramesAfterFence != 0 {
		t.Errorf("%d invariants broken (%v), %d frames after a fence", s.Session.InvariantViolations, s.Session.Violations, s.FramesAfterFence)
	}
	if s.HoldsResumed < 1 || s.HoldsConfirmed < 1 {
		t.Errorf("%d holds resumed and %d confirmed, want one of each at least", s.HoldsResumed, s.HoldsConfirmed)
	}
	cut := 0
	for _, turn := range s.Turns {
		switch {
		case turn.Transcript == "" || turn.Reply == "" || turn.EOUToFirstAudioMs == nil || turn.FramesAfterFence != 0:
			t.Errorf("turn is %+v", turn)
		case turn.Terminal == "abort":
			cut++
			if turn.Reason != "cancelled" || turn.CancelToFenceUs == nil || turn.PlayedThroughMs == nil || *turn.PlayedThroughMs <= 0 {
				t.Errorf("the interrupted turn is %+v", turn)
			}
			if turn.HeardText == "" || len(turn.HeardText) >= len(turn.Reply) || !strings.HasPrefix(turn.Reply, turn.HeardText) {
				t.Errorf("of %q was heard %q: not a proper beginning", turn.Reply, turn.HeardText)
			}
		case turn.Terminal != "commit" || turn.HeardText != turn.Reply:
			t.Errorf("of turn %d, which ended with %q, was heard %q", turn.Index, turn.Terminal, turn.HeardText)
		}
	}
	if cut < 1 {
		t.Error("no turn was interrupted")
	}
}

func checkFolder(t *testing.T, out string, s report.Summary) {
	t.Helper()
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"conversation.wav", "recording.parley", "summary.json", "timeline.html"}; !slices.Equal(names, want) {
		t.Errorf("the folder holds %q, want %q", names, want)
	}
	raw, err := os.ReadFile(filepath.Join(out, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var left report.Summary
	if err := json.Unmarshal(raw, &left); err != nil || left.Session.Digest != s.Session.Digest || len(left.Turns) != len(s.Turns) {
		t.Errorf("summary.json is not what was printed: %v", err)
	}
	clip, _, err := audio.ReadWAVFile(filepath.Join(out, "conversation.wav"))
	if err != nil || clip.Duration().Milliseconds() != int64(s.Session.DurationMs) {
		t.Errorf("the sound lasts %v, the session %v ms: %v", clip.Duration(), s.Session.DurationMs, err)
	}
	page, err := os.ReadFile(filepath.Join(out, "timeline.html"))
	if err != nil || !strings.Contains(string(page), s.Session.Digest) || !strings.HasSuffix(strings.TrimSpace(string(page)), "</html>") {
		t.Errorf("the timeline is not whole, or of another session: %v", err)
	}
	if parents, err := os.ReadDir(filepath.Dir(out)); err != nil || len(parents) != 2 {
		t.Errorf("something was left beside the folder: %v, %v", parents, err)
	}
}

// The user's own caller, at seconds of the user's choosing.
func TestDemoOwnCaller(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	in := voiceFile(t, "amiable-woman")
	s, _ := runDemoCommand(t, exitOK, "--llm", "scripted", "--out", out, "--in", in, "--at", "6.5,1")
	if len(s.Turns) != 2 {
		t.Fatalf("%d turns: %+v", len(s.Turns), s.Turns)
	}
	// The second comes into the answer to the first.
	if t1 := s.Turns[0]; t1.HeardText == t1.Reply || len(t1.Hold) != 1 || t1.Hold[0].FromMs < 6500 || t1.Hold[0].FromMs > 7000 {
		t.Errorf("turn 1 is %+v", t1)
	}
	if t2 := s.Turns[1]; t2.Terminal != "commit" || t2.HeardText != t2.Reply {
		t.Errorf("turn 2 is %+v", t2)
	}
}

// An interrupt ends the conversation in good order: what there is of it is whole.
func TestDemoInterrupted(t *testing.T) {
	enginestest.Set(t)
	out := filepath.Join(t.TempDir(), "out")
	ctx, stop := context.WithCancel(t.Context())
	var shown, errOut strings.Builder
	code := Program{}.Run(ctx, []string{"demo", "--fast", "--llm", "scripted", "--out", out}, strings.NewReader(""),
		onText{&shown, "saying", stop}, &errOut)
	if code != exitFailure || !strings.Contains(errOut.String(), "interrupted: what was said until then lies in "+out) {
		t.Fatalf("exit code %d\n%s", code, errOut.String())
	}
	raw, err := os.ReadFile(filepath.Join(out, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s report.Summary
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	if s.Session.Reason != "interrupted" || s.Session.State != "ENDED" || len(s.Turns) != 1 || s.FramesAfterFence != 0 {
		t.Errorf("session is %+v with %d turns", s.Session, len(s.Turns))
	}
	checkReplay(t, s.Session.Recording, s.Session.Digest)
	if strings.Contains(shown.String(), "\x1b") {
		t.Error("what is no terminal gets escapes")
	}
}

// onText does something once a text passes by.
type onText struct {
	out  *strings.Builder
	text string
	do   func()
}

func (o onText) Write(p []byte) (int, error) {
	if strings.Contains(string(p), o.text) {
		o.do()
	}
	return o.out.Write(p)
}

// Each bad input is refused with its name and a remedy, before anything is made.
func TestDemoBadInput(t *testing.T) {
	root := t.TempDir()
	good := voiceFile(t, "much")
	wav, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, content string) string {
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cut := file("cut.wav", string(wav[:len(wav)/2]))
	empty := file("empty.wav", "")
	text := file("text.wav", "good day")
	occupied := filepath.Join(root, "occupied")
	if err := os.Mkdir(occupied, 0o755); err != nil {
		t.Fatal(err)
	}
	thesis := filepath.Join("occupied", "thesis.txt")
	file(thesis, "x")
	out := filepath.Join(root, "out")
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"--in", text}, []string{text, "not a WAV file", "convert"}},
		{[]string{"--in", empty}, []string{empty, "no sound"}},
		{[]string{"--in", cut}, []string{cut, "cut off", "missing"}},
		{[]string{"--in", root}, []string{root, "folder"}},
		{[]string{"--in", filepath.Join(root, "nowhere.wav")}, []string{"nowhere.wav", "no such file"}},
		{[]string{"--in", ""}, []string{"--in is empty"}},
		{[]string{"--in", good, "--in", text}, []string{text}},
		{[]string{"--at", "3"}, []string{"--at", "without --in"}},
		{[]string{"--in", good, "--at", "-1"}, []string{"--at: -1", "0 to 3600"}},
		{[]string{"--in", good, "--at", "NaN"}, []string{"--at: NaN"}},
		{[]string{"--in", good, "--at", "inf"}, []string{"--at: +Inf"}},
		{[]string{"--in", good, "--at", "soon"}, []string{"--at", "soon"}},
		{[]string{"--in", good, "--in", good, "--at", "1", "--at", "2", "--at", "3"}, []string{"3 times for 2"}},
		{[]string{"--in", good, "--at", strings.Repeat("1,", mostCues) + "1"}, []string{"101 cues", "at most 100"}},
		{[]string{"--out", ""}, []string{"--out is empty"}},
		{[]string{"--out", text, "--llm", "scripted"}, []string{text, "it is a file"}},
		{[]string{"--out", filepath.Join(text, "x"), "--llm", "scripted"}, []string{"not a directory", "name a folder"}},
		{[]string{"--out", occupied, "--llm", "scripted"}, []string{"thesis.txt", "choose another --out"}},
		{[]string{"--out", occupied, "--overwrite", "--llm", "scripted"}, []string{"thesis.txt", "choose another --out"}},
		{[]string{"--llm", "gopher://x"}, []string{"--llm", "gopher", "scripted"}},
		{[]string{"--llm", "http://user:secret@127.0.0.1/v1"}, []string{"--llm", "password"}},
		{[]string{"again"}, []string{"again"}},
	} {
		r := runParley(t, "", append([]string{"demo", "--fast", "--out", out}, c.args...)...)
		if r.code != exitUsage || r.out != "" || strings.Contains(r.errOut, "secret") {
			t.Errorf("parley demo %q: exit code %d, output %q, error %q", c.args, r.code, r.out, r.errOut)
		}
		for _, text := range c.says {
			if !strings.Contains(r.errOut, text) {
				t.Errorf("parley demo %q does not say %q: %s", c.args, text, r.errOut)
			}
		}
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a folder was made: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(root, thesis)); err != nil || string(got) != "x" {
		t.Errorf("somebody's file was touched: %q, %v", got, err)
	}
}

// Missing and damaged engines are an error with the remedy, and no conversation.
func TestDemoEngines(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	t.Setenv("PARLEY_ENGINES", filepath.Join(t.TempDir(), "nowhere"))
	r := runParley(t, "", "demo", "--fast", "--out", out)
	if r.code != exitUsage || !strings.Contains(r.errOut, "nowhere") || !strings.Contains(r.errOut, "make engines") {
		t.Errorf("exit code %d, %s", r.code, r.errOut)
	}

	t.Setenv("PARLEY_ENGINES", "")
	set := enginestest.Set(t)
	copied := t.TempDir()
	if err := os.CopyFS(filepath.Join(copied, "v1"), os.DirFS(set.Dir)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PARLEY_ENGINES", copied)
	engine := filepath.Join(copied, "v1", filepath.Base(set.Synthesiser()))
	whole, err := os.ReadFile(engine)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for what, content := range map[string][]byte{"a flipped bit": flipped, "a cut file": whole[:len(whole)/2]} {
		if err := os.WriteFile(engine, content, 0o644); err != nil {
			t.Fatal(err)
		}
		r := runParley(t, "", "demo", "--fast", "--out", out)
		if r.code != exitUsage || !strings.Contains(r.errOut, engine) || !strings.Contains(r.errOut, "make engines") {
			t.Errorf("%s: exit code %d, %s", what, r.code, r.errOut)
		}
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a folder was made: %v", err)
	}
}

func TestDemoHelpAndCompletion(t *testing.T) {
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"demo", "--help"}, []string{"timeline.html", "--overwrite", "--fast", "PARLEY_LLM_BASE_URL", "Exit code", "Examples:"}},
		{[]string{"replay", "--help"}, []string{"Exit code 2", "--cut", "Examples:"}},
		{[]string{"__complete", "demo", "--o"}, []string{"--out", "--overwrite"}},
		{[]string{"__complete", "demo", "--llm", ""}, []string{"auto", "scripted"}},
		{[]string{"__complete", "demo", "--in", ""}, []string{"wav", ":8"}}, // files ending in wav
		{[]string{"__complete", "demo", "--out", ""}, []string{":16"}},      // folders
		{[]string{"__complete", "replay", "--"}, []string{"--json", "--cut"}},
	} {
		r := runParley(t, "", c.args...)
		if r.code != exitOK {
			t.Errorf("parley %q: exit code %d, %s", c.args, r.code, r.errOut)
		}
		for _, text := range c.says {
			if !strings.Contains(r.out, text) {
				t.Errorf("parley %q does not say %q:\n%s", c.args, text, r.out)
			}
		}
	}
}
