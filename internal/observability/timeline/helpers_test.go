// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// entry is a record as a test wrote it or read it.
type entry struct {
	kind    Type
	payload string
}

func testMeta() Meta {
	return Meta{
		SessionID: "s-1", Build: "test", Codec: "none/1", ProfileVersion: "simple/v1", RecordingLevel: "L2",
		BehaviorFlags: []string{"hold"}, SampleRateHz: 16000, WallAnchor: time.Unix(1700000000, 0).UTC(),
	}
}

// sample is what the tests record: one of each type, several times.
func sample(n int) []entry {
	kinds := []Type{TypeInput, TypeDecision, TypePass, TypeCheckpoint, TypeText, TypeAudio}
	var out []entry
	for i := range n {
		k := kinds[i%len(kinds)]
		p := fmt.Sprintf("%s %d %s", k, i, bytes.Repeat([]byte{'x'}, i%7))
		if k == TypeAudio {
			p = string(AppendAudio(nil, Audio{Direction: FromAgent, Encoding: EncodingS16, SampleRateHz: 16000, SampleIndex: uint64(i) * 320, PCM: []byte{1, 2, 3, byte(i)}}))
		}
		out = append(out, entry{k, p})
	}
	return out
}

// writeSample records entries in synchronous mode and closes the recording.
func writeSample(tb testing.TB, dir string, id byte, segment int64, entries []entry) {
	tb.Helper()
	w, err := Create(dir, Options{RecordingID: [16]byte{id}, Meta: testMeta(), SegmentBytes: segment, Synchronous: true})
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if err := w.Append(e.kind, []byte(e.payload)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(End{Digest: [32]byte{9, 8, 7}, Reason: "completed"}); err != nil {
		tb.Fatal(err)
	}
}

// segmentsOf reads all segments of a folder into memory, by name.
func segmentsOf(tb testing.TB, dir string) map[string][]byte {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string][]byte{}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			tb.Fatal(err)
		}
		out[filepath.Base(n)] = b
	}
	return out
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// inMemory is the source that Open would find in a folder with these files.
func inMemory(files map[string][]byte) recordingSource {
	src := recordingSource{path: "memory.parley"}
	for id := uint32(1); id <= 20; id++ {
		name := segmentName(id)
		if b, ok := files[name]; ok {
			src.segments = append(src.segments, segmentSource{
				name: name, id: id, size: int64(len(b)),
				open: func() (readHandle, error) { return memory{bytes.NewReader(b)}, nil },
			})
		}
	}
	return src
}

// readSource reads all that is good, and the account.
func readSource(tb testing.TB, src recordingSource) ([]entry, Account) {
	tb.Helper()
	r, err := openSource(src)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	return readAll(tb, r)
}

func readAll(tb testing.TB, r *Reader) ([]entry, Account) {
	tb.Helper()
	var out []entry
	for {
		rec, err := r.Next()
		if err == nil {
			out = append(out, entry{rec.Type, string(rec.Payload)})
			continue
		}
		a := r.Account()
		if whole := errors.Is(err, io.EOF); whole != a.Whole {
			tb.Fatalf("error %v, but whole is %v", err, a.Whole)
		}
		if !a.Whole && (a.Truncated == nil) == (a.Corrupt == nil) {
			tb.Fatalf("want one finding: %+v", a)
		}
		if a.Truncated != nil && !errors.Is(err, ErrTruncated) || a.Corrupt != nil && !errors.Is(err, ErrCorrupt) {
			tb.Fatalf("error %v does not fit the account %s", err, a)
		}
		if _, again := r.Next(); !errors.Is(again, err) {
			tb.Fatalf("the error does not stay: %v", again)
		}
		if err := r.Close(); err != nil {
			tb.Fatal(err)
		}
		return out, a
	}
}

func readDir(tb testing.TB, path string) ([]entry, Account) {
	tb.Helper()
	r, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	return readAll(tb, r)
}

// isPrefix fails unless got is a prefix of want.
func isPrefix(tb testing.TB, got, want []entry) {
	tb.Helper()
	if len(got) > len(want) {
		tb.Fatalf("read %d records, only %d were written", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			tb.Fatalf("record %d: read %v, written %v", i, got[i], want[i])
		}
	}
}
