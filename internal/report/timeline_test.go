// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// keep is for looking at the result: go test ./internal/report -run Timeline -keep /some/folder
var keep = flag.String("keep", "", "also write the sample timeline and summary into this folder")

func render(t *testing.T, d Data) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteTimeline(&out, d); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTimelineIsOneFile(t *testing.T) {
	d := sample(t)
	page := render(t, d)
	if *keep != "" {
		if err := os.WriteFile(filepath.Join(*keep, "timeline.html"), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The only address in the page is that of the audio beside it.
	for _, found := range regexp.MustCompile(`(?i)(?:src|href)\s*=\s*"?([^"\s>]*)|url\(([^)]*)\)|@import|https?:|//[a-z]+\.[a-z]`).FindAllString(page, -1) {
		switch found {
		case `src="conversation.wav`, `href="conversation.wav`, `href="data:,`, `url(#' + id + ')`, "url(#${clipId})":
		default:
			t.Errorf("the page refers to something: %q", found)
		}
	}
	if len(page) > 1_500_000 {
		t.Errorf("page of %d bytes for %v ms", len(page), d.Session.DurationMs)
	}
	for _, want := range []string{
		"12.4 µs", "lit the lamp", "and counted the ships", "prefers-color-scheme: dark", "@media print", "9f2c51a7",
		`<span class="mark scripted">scripted</span>`, "31.4 ms &#43; 3.5 ms &#43; 17.3 ms &#43; 39.8 ms &#43; 9.0 ms = 101.0 ms",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

// A two-minute call with 5 ms buckets is the size that must stay below 1.5 MB.
func TestTimelineOfTwoMinutesIsSmall(t *testing.T) {
	d := sample(t)
	d.Session.DurationMs = 120_000
	d.Voices = Voices{Caller: babble([][2]float64{{0, 120_000}}, 120_000, 0.5, 1), Agent: babble([][2]float64{{0, 120_000}}, 120_000, 0.9, 2)}
	if size := len(render(t, d)); size > 600_000 {
		t.Errorf("page of %d bytes", size)
	}
}

func TestTimelineEscapesEveryText(t *testing.T) {
	evil := "</script><script>alert(1)</script><!-- ]]> \"'`${x} &amp; \u2028\u2029 日本語 🎙️ \x00\xff <img src=x onerror=alert(1)>"
	d := sample(t)
	d.Session.ID, d.Session.State, d.Session.Reason, d.Session.Pipeline, d.Session.Profile = evil, evil, evil, evil, evil
	d.Session.Digest, d.Session.Recording, d.Session.StartedAt = evil, evil, evil
	d.Session.Violations = []string{evil}
	d.Session.Engines = []Engine{{Role: evil, Name: evil, Version: evil, Note: evil}}
	d.Process.Version, d.Process.GoVersion, d.Process.OS, d.Process.Arch = evil, evil, evil, evil
	d.Notes = []string{evil}
	for i := range d.Turns {
		turn := &d.Turns[i]
		turn.TurnID, turn.Transcript, turn.Reply, turn.HeardText, turn.Reason = evil, evil, evil, evil[:20], evil
		turn.Segments = []Segment{{AtMs: 1, Text: evil}}
	}
	for i := range d.Partials {
		d.Partials[i].Text, d.Partials[i].Utterance, d.Partials[i].TurnID = evil, evil, evil
	}
	for i := range d.Signals {
		d.Signals[i] = Signal{AtMs: 1, Signal: evil, Emitter: evil, TurnID: evil, Reason: evil}
	}
	page := render(t, d)
	if *keep != "" {
		if err := os.WriteFile(filepath.Join(*keep, "hostile.html"), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(page, "<script"); got != 2 {
		t.Errorf("%d script elements, want the data and the program", got)
	}
	if got := strings.Count(page, "</script"); got != 2 {
		t.Errorf("%d script ends, want 2", got)
	}
	for _, bad := range []string{"<img", "<!-- ]]", "\x00"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q as it came", bad)
		}
	}
	// The text survives its escapes: the page's data say what was said.
	var back struct {
		Partials []Partial `json:"partials"`
	}
	payload := page[strings.Index(page, `id="data">`)+len(`id="data">`):]
	if err := json.Unmarshal([]byte(payload[:strings.Index(payload, "</script")]), &back); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(evil, "\ufffd"); back.Partials[0].Text != want {
		t.Errorf("the page's data hold %q, want %q", back.Partials[0].Text, want)
	}
}

func TestTimelineAudioAddressIsSafe(t *testing.T) {
	d := sample(t)
	d.Session.Audio = `javascript:alert(1)`
	if page := render(t, d); strings.Contains(page, `="javascript:`) {
		t.Error("a script address reached an attribute")
	}
	d.Session.Audio = ""
	if page := render(t, d); strings.Contains(page, "<audio") {
		t.Error("a player without audio")
	}
}

func TestTimelineOfAlmostNothing(t *testing.T) {
	page := render(t, Data{Session: Session{ID: "s", DurationMs: 20}})
	if *keep != "" {
		if err := os.WriteFile(filepath.Join(*keep, "nothing.html"), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`"turns":[]`, `"floor":[]`, `"signals":[]`} {
		if !strings.Contains(page, want) {
			t.Errorf("the data do not hold %s", want)
		}
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	d := sample(t)
	d.Session.DurationMs = 0
	d.Voices.Caller.Min = d.Voices.Caller.Min[1:]
	d.Voices.Agent.BucketMs = 0
	d.Turns[0].TurnID = ""
	d.Turns[1].Terminal = "done"
	d.Turns[1].Hold[0].ToMs = 1
	var out bytes.Buffer
	err := WriteTimeline(&out, d)
	if err == nil || out.Len() > 0 {
		t.Fatalf("accepted: %v, %d bytes written", err, out.Len())
	}
	for _, want := range []string{"session.duration_ms is 0", "voices.caller", "bucket_ms is 0", "turns[0].turn_id", `turns[1].terminal is "done"`, "turns[1].hold[0]"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
}
