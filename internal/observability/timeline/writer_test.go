// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func mustCreate(tb testing.TB, dir string, o Options) *Writer {
	tb.Helper()
	if o.Meta.SessionID == "" {
		o.Meta = testMeta()
	}
	w, err := Create(dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func TestAsynchronousWriterKeepsAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.parley")
	w := mustCreate(t, dir, Options{SegmentBytes: 4096, Sync: SyncPolicy{Records: 100}})
	want := sample(3000)
	for _, e := range want {
		if err := w.Append(e.kind, []byte(e.payload)); err != nil {
			t.Fatal(err)
		}
		if s := w.Stats(); s.FillPermille > 500 {
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(End{Reason: "completed"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(TypeInput, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if err := errors.Join(w.Close(End{}), w.Abort(), w.Sync()); !errors.Is(err, ErrClosed) {
		t.Errorf("close after close: %v", err)
	}
	got, a := readDir(t, dir)
	if !a.Whole {
		t.Fatal(a)
	}
	marks := 0
	content := got[:0]
	for _, e := range got[1 : len(got)-1] {
		if e.kind == TypeExport {
			marks++
			continue
		}
		content = append(content, e)
	}
	if len(content) != len(want) {
		t.Fatalf("read %d, written %d", len(content), len(want))
	}
	isPrefix(t, content, want)
	s := w.Stats()
	if marks == 0 || s.Appended != a.LastSequence || s.Exported != s.Appended || s.Synced != s.Appended || s.QueuedRecords != 0 || s.LagMS != 0 || s.Bytes != a.GoodBytes {
		t.Errorf("%d export markers, stats %+v, %s", marks, s, a)
	}
}

func TestManyGoroutinesMayAppend(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.parley")
	w := mustCreate(t, dir, Options{SegmentBytes: 2048})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				if err := w.Append(TypeInput, fmt.Appendf(nil, "%d/%d", g, i)); err != nil {
					t.Error(err)
				}
				w.Stats()
			}
		})
	}
	wg.Wait()
	if err := w.Close(End{}); err != nil {
		t.Fatal(err)
	}
	if got, a := readDir(t, dir); !a.Whole || len(got) != 802 {
		t.Errorf("%d records, %s", len(got), a)
	}
}

// Recordings made in virtual time are equal byte for byte.
func TestSynchronousIsRepeatable(t *testing.T) {
	var first map[string][]byte
	for i := range 2 {
		dir := filepath.Join(t.TempDir(), "a.parley")
		writeSample(t, dir, 5, 2000, sample(500))
		files := segmentsOf(t, dir)
		if i == 0 {
			first = files
			continue
		}
		for name, b := range first {
			if !bytes.Equal(b, files[name]) {
				t.Errorf("%s differs", name)
			}
		}
	}
}

// "Detail goes first, baseline never" (evidence-replay section 3), "the
// reserve always fits the terminal and close markers" (section 4).
func TestPressure(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.parley")
	fs := &flakyFS{}
	w := mustCreate(t, dir, Options{Synchronous: true, CapacityRecords: 100, ReserveRecords: 20, files: fs})
	fs.fail(0)
	for range 200 {
		if err := w.Append(TypeAudio, make([]byte, 16)); err != nil {
			t.Fatal("detail must not fail:", err)
		}
	}
	s := w.Stats()
	if s.DroppedDetail != 120 || s.DroppedDetailBytes != 120*16 || s.FillPermille != 800 || s.Err == nil || s.RefusedBaseline != 0 {
		t.Fatalf("%+v", s)
	}
	kept := 0
	for ; ; kept++ {
		if err := w.Append(TypeDecision, []byte("decision")); err != nil {
			if !errors.Is(err, ErrBaselineUnavailable) || !strings.Contains(err.Error(), "free space") {
				t.Fatal(err)
			}
			break
		}
	}
	if kept != 14 { // 20 in reserve, 5 of them for the close, 1 for the gap record
		t.Errorf("%d baseline records fit the reserve", kept)
	}
	for i := range 4 { // and one for the gap record before them
		if err := w.Append(TypeDecision, []byte("close")); err != nil {
			t.Fatalf("closing record %d: %v", i, err)
		}
	}
	if err := w.Append(TypeDecision, nil); !errors.Is(err, ErrBaselineUnavailable) {
		t.Error("more than the capacity was kept:", err)
	}
	fs.heal()
	if err := w.Close(End{Reason: "recording_evidence_unavailable"}); !errors.Is(err, ErrBaselineUnavailable) {
		t.Error("close does not say that records are missing:", err)
	}
	got, a := readDir(t, dir)
	if a.Whole || a.Truncated == nil || a.Truncated.Kind != KindHoles || a.Lost != (Gap{120, 1920, 2}) || a.End.RefusedBaseline != 2 {
		t.Errorf("%+v, %s", a, a)
	}
	if got[81].kind != TypeGap || got[96].kind != TypeGap || got[len(got)-2].kind != TypeGap {
		t.Errorf("gap records are elsewhere: %v", got)
	}
}

func TestBytesAreBounded(t *testing.T) {
	fs := &flakyFS{}
	w := mustCreate(t, filepath.Join(t.TempDir(), "a"), Options{Synchronous: true, CapacityBytes: 64 << 10, ReserveBytes: 16 << 10, files: fs})
	fs.fail(0)
	for range 100 {
		if err := w.Append(TypeAudio, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if s := w.Stats(); s.QueuedBytes > 48<<10 || s.DroppedDetail == 0 || s.FillPermille > 750 || s.FillPermille < 700 {
		t.Errorf("%+v", s)
	}
	if err := w.Abort(); err == nil {
		t.Error("abort hides that records were lost")
	}
}

func TestAppendRefuses(t *testing.T) {
	w := mustCreate(t, filepath.Join(t.TempDir(), "a"), Options{Synchronous: true})
	for _, k := range []Type{0, TypeMeta, TypeExport, TypeEnd, TypeGap, 200} {
		if err := w.Append(k, nil); !errors.Is(err, ErrUnknownType) {
			t.Errorf("%s: %v", k, err)
		}
	}
	if err := w.Append(TypeInput, make([]byte, MaxPayload+1)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if err := w.Append(TypeInput, make([]byte, MaxPayload)); err != nil {
		t.Error(err)
	}
	if err := w.Close(End{Reason: strings.Repeat("ü", MaxReason)}); err != nil {
		t.Error(err)
	}
	if a, err := Verify(w.log.dir); err != nil || !a.Whole || len(a.End.Reason) != MaxReason {
		t.Errorf("%v %s", err, a)
	}
}

func TestAbortIsNeverWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	w := mustCreate(t, dir, Options{})
	if err := w.Append(TypeInput, []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	got, a := readDir(t, dir)
	if a.Whole || a.Truncated == nil || a.Truncated.Kind != KindEndMissing || len(got) != 2 || got[1].payload != "kept" {
		t.Errorf("%v %s", got, a)
	}
}

func TestCreateRefusesAFullFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "a.parley")
	writeSample(t, dir, 1, 300, sample(20))
	if _, err := Create(dir, Options{}); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "choose another folder") {
		t.Error(err)
	}
	if a, err := Verify(dir); err != nil || !a.Whole {
		t.Errorf("the refused Create has harmed the recording: %v %s", err, a)
	}
	w := mustCreate(t, dir, Options{Overwrite: true})
	if err := w.Close(End{}); err != nil {
		t.Fatal(err)
	}
	if a, err := Verify(dir); err != nil || !a.Whole || a.SegmentsFound != 1 || a.GoodRecords != 2 {
		t.Errorf("%v %s", err, a)
	}
	stranger := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(stranger, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir, Options{Overwrite: true}); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "notes.txt") {
		t.Error(err)
	}
	if a, err := Verify(dir); err != nil || !a.Whole {
		t.Errorf("%v %s", err, a)
	}
	if _, err := Create(stranger, Options{}); err == nil {
		t.Error("a file was taken for a folder")
	}
}

func TestOptionsReportAllFaults(t *testing.T) {
	err := Options{SegmentBytes: 1, CapacityRecords: 10, ReserveRecords: 10, Sync: SyncPolicy{Records: -1}}.Validate()
	if !errors.Is(err, ErrOptions) {
		t.Fatal(err)
	}
	for _, field := range []string{"SegmentBytes is 1", "ReserveRecords is 10", "Sync.Records is -1"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q lacks %s", err, field)
		}
	}
	if err := (Options{}).Validate(); err != nil {
		t.Error(err)
	}
}

// "0 allocations a frame" (engine section 5, P8).
func TestAppendDoesNotAllocate(t *testing.T) {
	for _, synchronous := range []bool{true, false} {
		w := mustCreate(t, filepath.Join(t.TempDir(), "a"), Options{Synchronous: synchronous, files: &flakyFS{discard: true}})
		payload := make([]byte, 640)
		for range 5000 {
			if err := w.Append(TypeAudio, payload); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
		for range 40 { // the buffers have their size after this
			if err := errors.Join(w.Append(TypeAudio, payload), w.Append(TypeDecision, payload[:64])); err != nil {
				t.Fatal(err)
			}
		}
		n := testing.AllocsPerRun(200, func() {
			if err := w.Append(TypeAudio, payload[:64]); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("synchronous %v: %v allocations an append", synchronous, n)
		}
		if err := w.Close(End{}); err != nil {
			t.Fatal(err)
		}
	}
}
