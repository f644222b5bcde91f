// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/observability/timeline"
)

// call drives a kernel through turns with an interruption in every other one, and
// records it.
type call struct {
	t        *testing.T
	machine  *session.Machine
	recorder *Recorder
	at       timebase.Instant
	change   func(list []session.Effect) // tampers with what is recorded
}

func (c *call) step(ms int64, lines ...string) {
	c.t.Helper()
	c.at = c.at.Add(timebase.MS(ms))
	var in []session.Input
	for _, line := range lines {
		i, err := session.ParseInput(line)
		if err != nil {
			c.t.Fatal(err)
		}
		in = append(in, i)
	}
	var fx session.Effects
	c.machine.Step(c.at, in, &fx)
	if c.change != nil {
		c.change(fx.List)
	}
	if err := c.recorder.Pass(c.at, in, fx.List); err != nil {
		c.t.Fatal(err)
	}
}

const (
	boot  = "bootstrap session=s1 tenant=demo pipeline=p1 profile=simple/v1 graph=voice/1 epoch=1 wall_ms=1790000000000 stt=a llm=b tts=c streaming_stt=true"
	fresh = "snapshots routing_view_snapshot=1 admission_policy_snapshot=1 abi_compatibility_snapshot=1 version_resolution_snapshot=1 policy_resolution_snapshot=1 provider_health_snapshot=1"
)

// record writes a recording of n turns and gives its folder.
func record(t *testing.T, n int, change func([]session.Effect)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "call.parley")
	w, err := timeline.Create(dir, timeline.Options{Synchronous: true, Meta: timeline.Meta{SessionID: "s1", Codec: Codec, Build: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &call{t: t, machine: session.New(), recorder: NewRecorder(w), change: change}
	c.step(0, boot, fresh)
	for k := 1; k <= n; k++ {
		id := "t" + string(rune('0'+k))
		for f := range 60 {
			c.step(20, "audio_in samples=320 sample="+itoa(f*320))
		}
		c.step(1, fresh, "text_in text=1 runes=9 words=2 class=2")
		c.step(5, "segment invocation="+id+"-llm-1 text=2 runes=50 words=9 class=2")
		c.step(5, "speech invocation="+id+"-tts-2 handle=1 samples=16000")
		c.step(5, "delivery event=started turn="+id)
		c.step(100, "delivery event=progress played=1600 turn="+id, "stop")
	}
	c.step(50, "close_request reason=done")
	if err := w.Close(timeline.End{Digest: c.recorder.Digest(), Reason: "done"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func itoa(n int) string { return strconv.Itoa(n) }

func run(t *testing.T, dir string) Report {
	t.Helper()
	report, err := Run(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestReplayIsIdentical(t *testing.T) {
	report := run(t, record(t, 5, nil))
	if !report.Identical || !report.Whole || report.Turns != 5 || report.Passes < 300 || report.Decisions < 50 {
		t.Errorf("replay of a whole recording: %+v", report)
	}
	again := run(t, record(t, 5, nil))
	if again.Digest != report.Digest {
		t.Errorf("two equal calls have digests %s and %s", report.Digest, again.Digest)
	}
}

func TestReplayFindsTheFirstDivergence(t *testing.T) {
	dir := record(t, 3, func(list []session.Effect) {
		for _, e := range list {
			if f, ok := e.(*session.Fence); ok && f.Turn == "t2" {
				f.Generation = 77
			}
		}
	})
	report := run(t, dir)
	if report.Identical || report.Divergence == nil {
		t.Fatal("a recorded decision was changed and the replay agrees")
	}
	d := report.Divergence
	if !strings.Contains(d.Recorded, "generation=77") || !strings.Contains(d.Recomputed, "fence turn=t2 generation=2") {
		t.Errorf("divergence: recorded %q, recomputed %q", d.Recorded, d.Recomputed)
	}
	if !strings.Contains(strings.Join(d.Context, "\n"), "in  stop") {
		t.Errorf("the context does not show the input that led there:\n%s", strings.Join(d.Context, "\n"))
	}
}

func TestReplayFindsAMissingDecision(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "call.parley")
	w, err := timeline.Create(dir, timeline.Options{Synchronous: true, Meta: timeline.Meta{SessionID: "s1", Codec: Codec}})
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecorder(w)
	in, _ := session.ParseInput(boot)
	if err := r.Pass(0, []session.Input{in}, nil); err != nil { // the kernel would have decided something
		t.Fatal(err)
	}
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(timeline.End{Digest: r.Digest()}); err != nil {
		t.Fatal(err)
	}
	report := run(t, dir)
	if report.Identical || report.Divergence.Recorded != "(no decision)" {
		t.Errorf("replay: %+v", report)
	}
}

func TestReplayOfACutRecordingUsesWhatIsGood(t *testing.T) {
	dir := record(t, 2, nil)
	segment := filepath.Join(dir, "000001.wal")
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	for size := len(whole) - 1; size > 200; size -= 97 {
		if err := os.WriteFile(segment, whole[:size], 0o644); err != nil {
			t.Fatal(err)
		}
		report, err := Run(dir, time.Now)
		if err != nil {
			continue // the head itself is cut: nothing to replay, and the error says so
		}
		if report.Whole || report.Damage == "" || !report.Identical {
			t.Fatalf("cut at %d: %+v", size, report)
		}
	}
}

func TestReplayRefusesAnotherCodec(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "call.parley")
	w, err := timeline.Create(dir, timeline.Options{Synchronous: true, Meta: timeline.Meta{SessionID: "s1", Codec: "other/9", Build: "v9"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(timeline.End{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(dir, time.Now); !errors.Is(err, ErrCodec) || !strings.Contains(err.Error(), "v9") {
		t.Errorf("error: %v", err)
	}
}

func TestReplaySurvivesMalformedRecords(t *testing.T) {
	for name, payload := range map[string][]byte{
		"head":  {0x80},
		"frame": {1, 0, 0x80},
		"count": {1, 0xff, 0xff, 3},
		"kind":  {1, 1, 3, 2, 'x', 'y'},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "call.parley")
			w, err := timeline.Create(dir, timeline.Options{Synchronous: true, Meta: timeline.Meta{SessionID: "s1", Codec: Codec}})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Append(timeline.TypeInput, payload); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(timeline.End{}); err != nil {
				t.Fatal(err)
			}
			if _, err := Run(dir, time.Now); !errors.Is(err, ErrRecord) {
				t.Errorf("error: %v", err)
			}
		})
	}
}

// A caller frame is written as what differs from the one before: every field of it comes
// back, whatever it is, or a recording would not decide the same.
func TestFrameKeepsEveryField(t *testing.T) {
	random := timebase.NewRandom(7)
	var wrote, read session.AudioIn
	for range 1000 {
		var f session.AudioIn
		v := reflect.ValueOf(&f).Elem()
		for i := range v.NumField() {
			v.Field(i).SetInt(random.Between(-1<<40, 1<<40))
		}
		b := appendFrame(nil, &f, &wrote)
		got, n := readFrame(b, &read)
		if n != len(b) || got != f {
			t.Fatalf("%+v comes back as %+v, %d of %d bytes", f, got, n, len(b))
		}
	}
}
