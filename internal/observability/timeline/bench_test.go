// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"errors"
	"path/filepath"
	"testing"
)

// BenchmarkAppend is the cost on the session's path: "123 ns a record
// buffered" (engine section 3) is the figure to hold it against. "memory"
// leaves the disk out; "async" has a consumer that keeps up; "sync" includes
// the write to a real file.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name    string
		kind    Type
		payload int
	}{{"decision-64B", TypeDecision, 64}, {"audio-640B", TypeAudio, 640}} {
		payload := make([]byte, c.payload)
		b.Run(c.name+"/memory", func(b *testing.B) {
			benchAppend(b, Options{Synchronous: true, files: &flakyFS{discard: true}}, c.kind, payload)
		})
		b.Run(c.name+"/async", func(b *testing.B) {
			benchAppend(b, Options{files: &flakyFS{discard: true}}, c.kind, payload)
		})
		b.Run(c.name+"/file", func(b *testing.B) {
			benchAppend(b, Options{Synchronous: true}, c.kind, payload)
		})
	}
}

func benchAppend(b *testing.B, o Options, kind Type, payload []byte) {
	b.Helper()
	w := mustCreate(b, filepath.Join(b.TempDir(), "a"), o)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	refused := 0
	for b.Loop() {
		if err := w.Append(kind, payload); err != nil {
			refused++
			if err := w.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	lost := w.Stats().DroppedDetail
	if err := w.Close(End{}); err != nil && !errors.Is(err, ErrBaselineUnavailable) {
		b.Fatal(err)
	}
	b.ReportMetric(float64(lost)/float64(b.N), "dropped/op")
	b.ReportMetric(float64(refused)/float64(b.N), "refused/op")
}

// BenchmarkRead is the reader's cost of a record.
func BenchmarkRead(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "a")
	w := mustCreate(b, dir, Options{Synchronous: true})
	const n = 100_000
	for range n {
		if err := w.Append(TypeDecision, make([]byte, 64)); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(End{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if a, err := Verify(dir); err != nil || !a.Whole {
			b.Fatal(err, a)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}
