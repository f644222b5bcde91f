// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/observability/replay"
	"github.com/parley-voice/parley/internal/observability/timeline"
	"github.com/parley-voice/parley/internal/observability/waits"
)

// pressure is a spec under which a conversation goes on and shows what waits.
const pressure = `
edges:
  llm-tts: {watermarks: {queue_items: {high: 1, low: 0}}}
  tts-transport: {watermarks: {queue_ms: {high: 3000, low: 1000}}}
  captions: {from: caller_text, to: reader, strategy: latest_only}
`

// A conversation under pressure ends well, and what the summary, the replay of the
// recording, the timeline and the metrics say of its edges is the same.
func TestDemoUnderPressure(t *testing.T) {
	dir := t.TempDir()
	spec, out, metrics := filepath.Join(dir, "spec.yaml"), filepath.Join(dir, "out"), filepath.Join(dir, "metrics.jsonl")
	if err := os.WriteFile(spec, []byte(pressure), 0o600); err != nil {
		t.Fatal(err)
	}
	in := voiceFile(t, "young-man")
	s, _ := runDemoCommand(t, exitOK, "--llm", "scripted", "--out", out, "--in", in, "--spec", spec, "--metrics", metrics)
	if len(s.Turns) != 1 || s.Turns[0].Terminal != "commit" || s.Turns[0].HeardText != s.Turns[0].Reply {
		t.Errorf("the turn is %+v", s.Turns)
	}
	summary := map[string]waits.Counts{}
	for _, e := range s.Edges {
		summary[e.ID] = e.Counts
	}
	speech, captions := summary["tts-transport"], summary["captions"]
	if speech.Highs == 0 || speech.Highs != speech.Lows || speech.XOffs == 0 || speech.XOffs != speech.XOns || speech.Drops != 0 ||
		speech.Offered != speech.Delivered || speech.LongestWaitMS == 0 || speech.PeakMS < 3000 {
		t.Errorf("the sound was held back like this: %+v", speech)
	}
	if captions.Offered.Data == 0 || captions.Drops != captions.Offered.Data-captions.Delivered.Data {
		t.Errorf("of the captions, which nobody reads, is told: %+v", captions)
	}
	if s.Admission == nil || s.Admission.Later["admit"] != 1 || s.Budgets == nil {
		t.Errorf("decisions: %+v, %+v", s.Admission, s.Budgets)
	}
	r := runParley(t, "", "replay", "--json", s.Session.Recording)
	var doc replayed
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || r.code != exitOK || doc.Digest != s.Session.Digest {
		t.Fatalf("replay: exit code %d, %v\n%s", r.code, err, r.errOut)
	}
	for i := range doc.Waits.Edges {
		e := &doc.Waits.Edges[i]
		if !reflect.DeepEqual(e.Counts, summary[e.ID]) {
			t.Errorf("%s: the replay counts\n%+v, the session counted\n%+v", e.ID, e.Counts, summary[e.ID])
		}
	}
	if len(doc.Waits.Edges) != len(s.Edges) {
		t.Errorf("the replay knows %d edges, the session %d", len(doc.Waits.Edges), len(s.Edges))
	}
	checkPanel(t, s.Session.Recording)
	checkMetrics(t, metrics, summary)
	page, err := os.ReadFile(filepath.Join(out, "timeline.html"))
	if err != nil || !strings.Contains(string(page), `id="waited-title"`) || !strings.Contains(string(page), `"edge_id":"captions"`) {
		t.Errorf("the timeline does not show what waited: %v", err)
	}
}

// checkPanel reads what replay says of the edges, in short and in full.
func checkPanel(t *testing.T, recording string) {
	t.Helper()
	short, full := runParley(t, "", "replay", recording), runParley(t, "", "replay", "--edges", recording)
	for _, want := range []string{"tts-transport", "captions", "xoff", "nothing was dropped, merged or held back"} {
		if !strings.Contains(short.out, want) {
			t.Errorf("replay does not say %q\n%s", want, short.out)
		}
	}
	if strings.Contains(short.out, "transport-vad") || !strings.Contains(full.out, "transport-vad") {
		t.Errorf("quiet edges:\n%s\n%s", short.out, full.out)
	}
	if !strings.Contains(full.out, "watermarks.queue_items.high") || !strings.Contains(full.out, controlplane.ProvenancePipelineSpec) {
		t.Errorf("replay --edges does not say what edges obey\n%s", full.out)
	}
	for line := range strings.Lines(short.out) {
		if strings.HasPrefix(line, "  ") && !strings.Contains(line, "digest") && !strings.Contains(line, "real time") && len(line) > 101 {
			t.Errorf("a line of %d columns: %s", len(line), line)
		}
	}
}

// checkMetrics reads the file as parley validate does, and compares the last value of some
// counters with the summary. The session ended a little later than the last event.
func checkMetrics(t *testing.T, path string, summary map[string]waits.Counts) {
	t.Helper()
	if r := runParley(t, "", "validate", "--kind", "event_record", path); r.code != exitOK || r.out != "" {
		t.Errorf("the metrics are not valid:\n%s%s", r.out, r.errOut)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	last := map[string]float64{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var event struct {
			Payload struct {
				Name   string            `json:"name"`
				Value  float64           `json:"value"`
				Labels map[string]string `json:"labels"`
			} `json:"payload"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		p := event.Payload
		last[p.Name+" "+p.Labels["edge_id"]+" "+p.Labels["lane"]+p.Labels["reason"]+p.Labels["signal"]] = p.Value
	}
	for name, want := range map[string]int64{
		"delivered_total stt-llm data":                 summary["stt-llm"].Delivered.Data,
		"delivered_total llm-tts data":                 summary["llm-tts"].Delivered.Data,
		"offered_total tts-transport data":             summary["tts-transport"].Offered.Data,
		"watermark_crossings_total tts-transport high": summary["tts-transport"].Highs,
		"flow_signals_total tts-transport flow_xoff":   summary["tts-transport"].XOffs,
		"queue_depth_peak tts-transport data":          summary["tts-transport"].PeakItems.Data,
	} {
		if got, ok := last[name]; !ok || got != float64(want) {
			t.Errorf("the metric %s is %v, the summary says %d", name, got, want)
		}
	}
}

// Metrics are refused a file that cannot be written, before anything begins; and validate
// names the line of a .jsonl file that is at fault.
func TestMetricsFileAndLines(t *testing.T) {
	if _, err := createMetrics(filepath.Join(t.TempDir(), "no", "such", "folder.jsonl")); err == nil || !strings.Contains(err.Error(), "--metrics") {
		t.Errorf("the error is %v", err)
	}
	if m, err := createMetrics(""); m != nil || err != nil || m.observer() != nil || m.close() != nil {
		t.Errorf("without a name there is %+v, %v", m, err)
	}
	good, err := os.ReadFile(filepath.Join(samples, "good/event_record/text.json"))
	if err != nil {
		t.Fatal(err)
	}
	var compact strings.Builder
	var doc any
	if err := json.Unmarshal(good, &doc); err != nil {
		t.Fatal(err)
	}
	if err := json.NewEncoder(&compact).Encode(doc); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "events.jsonl")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(compact.String() + "\n" + compact.String() + "{\"event_kind\": 7}\n")
	r := runParley(t, "", "validate", "--kind", "event", path)
	if r.code != exitFailure || !strings.Contains(r.out, "events.jsonl:4: ") || strings.Contains(r.out, "events.jsonl:1: ") || !strings.Contains(r.errOut, "3 artifacts checked: 2 valid") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	write("\n")
	if r := runParley(t, "", "validate", "--kind", "event", path); r.code != exitUsage || !strings.Contains(r.errOut, "no document") {
		t.Errorf("an empty file: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
}

// The recording of a session that was not let in says why, and when to come again.
func TestReplayExplainsARefusal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "refused.parley")
	recorder, err := replay.RecordSession(dir, timeline.Options{Synchronous: true, Meta: timeline.Meta{
		SessionID: "second", Build: "test", ProfileVersion: controlplane.ProfileSimple, RecordingLevel: string(controlplane.RecordingL0),
		SampleRateHz: 16000, WallAnchor: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC),
	}})
	if err != nil {
		t.Fatal(err)
	}
	used := gate.Counts{}
	*used.At(gate.ScopeTenant, gate.ConcurrentSessions) = 3
	usage := &session.Usage{}
	copy(usage.Counts[:], used[:])
	in := []session.Input{
		&session.Quota{Quota: gate.Quota{Scope: gate.ScopeTenant, Limit: gate.ConcurrentSessions, Max: 3, Action: gate.ActionDefer, RetryAfterMS: 2500}},
		usage, &session.Admission{}, &session.Bootstrap{
			Session: "second", Tenant: "acme", Pipeline: "voice-1", Profile: controlplane.ProfileSimple, Graph: "voice/1", Epoch: 1,
			STT: "stt", LLM: "llm", TTS: "tts", Settings: session.Settings{AvailabilityMode: true},
		},
	}
	machine, fx, digest := session.New(), session.Effects{}, session.Digest{}
	machine.Step(0, in, &fx)
	digest.Add(fx.List)
	if err := recorder.Pass(0, in, fx.List); err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close("session_refused", digest.Sum()); err != nil {
		t.Fatal(err)
	}
	r := runParley(t, "", "replay", dir)
	want := "NOT LET IN: defer: tenant_quota:concurrent_sessions (3 used of 3): come again in 2500 ms, or open it elsewhere"
	if r.code != exitOK || !strings.Contains(r.out, want) {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	var doc replayed
	r = runParley(t, "", "replay", "--json", dir)
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || doc.Waits.Admission.RetryAfterMS != 2500 || doc.Waits.Admission.Outcome != "defer" {
		t.Errorf("%v\n%s", err, r.out)
	}
}
