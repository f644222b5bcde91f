// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"slices"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Flow section 1: "final text, audio_end, semantic outputs, terminal markers are never
// shed or merged away".
func TestProtectedKinds(t *testing.T) {
	want := map[Kind]bool{Audio: false, Interim: false, Final: true, Semantic: true, Marker: true, Metric: false}
	if len(want) != int(kindCount) {
		t.Fatalf("%d kinds, %d expected", kindCount, len(want))
	}
	seen := map[string]bool{}
	for k, protected := range want {
		if k.Protected() != protected || seen[k.String()] {
			t.Errorf("%v: protected %v, want %v", k, k.Protected(), protected)
		}
		seen[k.String()] = true
	}
	if kindCount.String() != "unknown" {
		t.Errorf("a kind that is none is called %q", kindCount.String())
	}
}

// Event-abi section 8: "up to 64 source ids; longer merges record the first 63 and the
// last".
func TestLineage(t *testing.T) {
	for _, n := range []int64{2, 63, 64, 65, 66, 200} {
		it := Item{Seq: 1, First: 1, Kind: Audio, Bytes: 2, Media: 5}
		for seq := int64(2); seq <= n; seq++ {
			it.absorb(&Item{Seq: seq, First: seq, Kind: Audio, Bytes: 2, Media: 5})
		}
		checkLineage(t, &it, n)
		if it.Bytes != 2*n || it.Media != 5*timebase.Span(n) {
			t.Errorf("%d merged: %d bytes, %d ns", n, it.Bytes, it.Media)
		}
	}
}

// The lineage of merged items that are merged is as if they had been merged one by one.
func TestLineageOfLineages(t *testing.T) {
	for _, cut := range []int64{1, 2, 10, 63, 64, 65, 99, 100} {
		run := func(from, to int64) Item {
			it := Item{Seq: from, First: from, Kind: Audio}
			for seq := from + 1; seq <= to; seq++ {
				it.absorb(&Item{Seq: seq, First: seq, Kind: Audio})
			}
			return it
		}
		older, younger := run(1, cut), run(cut+1, 101)
		older.absorb(&younger)
		checkLineage(t, &older, 101)
	}
}

func checkLineage(t *testing.T, it *Item, n int64) {
	t.Helper()
	var want []int64
	for seq := int64(1); seq <= n; seq++ {
		if seq < maxSources || seq == n {
			want = append(want, seq)
		}
	}
	if !slices.Equal(it.Sources, want) || it.Merged != n || it.Count() != n || it.First != 1 || it.Seq != n {
		t.Errorf("%d merged: %d..%d, count %d, sources %v", n, it.First, it.Seq, it.Merged, it.Sources)
	}
}

// A queue gives what was put in, in order, through all the ways in which it moves its
// memory; it does not hold on to more than a few times what lies in it.
func TestQueueMovesItsMemory(t *testing.T) {
	for _, depth := range []int{1, 2, 3, 7, 64} {
		var q queue
		next, first := int64(0), int64(0)
		for range 1000 {
			for q.len() < depth {
				q.push(&Item{Seq: next, Bytes: next, Media: 1, Sources: []int64{next}})
				next++
			}
			if got := q.remove(0); got.Seq != first {
				t.Fatalf("depth %d: %d comes, want %d", depth, got.Seq, first)
			}
			first++
			if cap(q.items) > 4*depth {
				t.Fatalf("depth %d: room for %d", depth, cap(q.items))
			}
			held := 0
			for _, it := range q.items[:cap(q.items)] {
				if it.Sources != nil {
					held++
				}
			}
			if held != q.len() {
				t.Fatalf("depth %d: memory holds on to %d items", depth, held)
			}
		}
	}
}

// What is taken out of the middle is gone from the sums, and nothing stays behind in
// memory.
func TestQueueRemove(t *testing.T) {
	var q queue
	for n := range int64(6) {
		q.push(&Item{Seq: n, Bytes: 1 << n, Media: 1, Sources: []int64{n}})
	}
	q.remove(0)
	q.remove(2) // of 1 2 3 4 5 it is 3
	q.remove(3) // of 1 2 4 5 it is 5
	var got []int64
	for i := range q.len() {
		got = append(got, q.at(i).Seq)
	}
	if !slices.Equal(got, []int64{1, 2, 4}) || q.bytes != 2+4+16 || q.media != 3 {
		t.Errorf("left %v, %d bytes, %d ns", got, q.bytes, q.media)
	}
	live := func() (n int) {
		for _, it := range q.items[:cap(q.items)] {
			if it.Sources != nil {
				n++
			}
		}
		return n
	}
	if live() != 3 {
		t.Errorf("memory holds on to %d items, 3 lie there", live())
	}
	q.sweep(func(i int) bool { return i != 1 })
	if q.len() != 1 || q.at(0).Seq != 2 || q.bytes != 4 || q.media != 1 || live() != 1 {
		t.Errorf("after the sweep %d lie there, %d are held on to", q.len(), live())
	}
	q.sweep(func(int) bool { return true })
	if q.len() != 0 || q.head != 0 || live() != 0 {
		t.Errorf("after all were swept %d lie there, %d are held on to", q.len(), live())
	}
}

// A reader in the midst of an item leaves the rest, in proportion.
func TestShrink(t *testing.T) {
	q := queue{}
	q.push(&Item{Bytes: 640, Media: timebase.MS(20), End: 1320})
	for _, at := range []struct {
		through timebase.Samples
		moved   bool
		ms      int64
		bytes   int64
	}{
		{900, false, 20, 640}, {1000, false, 20, 640}, {1160, true, 10, 320}, {1160, false, 10, 320}, {1240, true, 5, 160},
	} {
		if moved := q.shrink(at.through); moved != at.moved || q.media != timebase.MS(at.ms) || q.bytes != at.bytes ||
			q.at(0).Media != q.media || q.at(0).Bytes != q.bytes {
			t.Errorf("through %d: moved %v, %d ms and %d bytes are left", at.through, moved, q.media.MS(), q.bytes)
		}
	}
	q = queue{}
	q.push(&Item{Bytes: 10, End: 100})
	if q.shrink(50) || q.bytes != 10 {
		t.Error("what has no length shrinks")
	}
}
