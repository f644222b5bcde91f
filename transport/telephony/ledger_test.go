// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/transport"
)

// TestMarks: a mark is evidence of its place, once, unless its turn was fenced while it was
// out; and it is evidence that those before it are done with.
func TestMarks(t *testing.T) {
	var l ledger
	a1 := l.add(place{"a", 1, 320})
	a2 := l.add(place{"a", 1, 1920})
	a3 := l.add(place{"a", 1, 3520})
	if p, ok := l.back(a1); !ok || p.position != 320 {
		t.Fatalf("the first mark: %+v, %v", p, ok)
	}
	if _, ok := l.back(a1); ok || l.unknown != 1 {
		t.Error("a mark counted twice")
	}
	fence := transport.Fence{Turn: "a", Generation: 1}
	if p, ok := l.pending(fence); !ok || p.position != 3520 {
		t.Errorf("pending of the fence: %+v, %v; want the last mark's place", p, ok)
	}
	l.fence(fence)
	b1 := l.add(place{"b", 2, 320})
	for _, name := range []string{a2, a3} {
		if _, ok := l.back(name); ok {
			t.Errorf("%s came back behind the fence and counts as heard", name)
		}
	}
	if l.flushed != 2 || l.heardOf(place{turn: "a", generation: 1}) != 320 {
		t.Errorf("flushed %d, heard %d; want 2 and 320", l.flushed, l.heardOf(place{turn: "a", generation: 1}))
	}
	if p, ok := l.back(b1); !ok || p.turn != "b" {
		t.Errorf("the next turn's mark: %+v, %v", p, ok)
	}
	for _, name := range []string{"", "x", markPrefix, markPrefix + "-1", markPrefix + "99", markPrefix + "99999999999999999999", "my label"} {
		if _, ok := l.back(name); ok {
			t.Errorf("%q counts", name)
		}
	}
}

// TestMarksSkipped: marks come back in order, so one that comes back stands for those
// before it.
func TestMarksSkipped(t *testing.T) {
	var l ledger
	first := l.add(place{"a", 1, 320})
	second := l.add(place{"a", 1, 640})
	if p, ok := l.back(second); !ok || p.position != 640 {
		t.Fatalf("%+v, %v", p, ok)
	}
	if _, ok := l.back(first); ok {
		t.Error("a mark that was passed over goes back")
	}
}

// TestMarksBounded: a gateway that never returns a mark costs no more memory than one that
// does.
func TestMarksBounded(t *testing.T) {
	var l ledger
	for i := range int64(10 * mostMarks) {
		l.add(place{"a", 1, i})
	}
	if len(l.out) != mostMarks || cap(l.out) > 2*mostMarks || l.forgotten != 9*mostMarks {
		t.Errorf("%d marks held, %d forgotten", len(l.out), l.forgotten)
	}
	if p, ok := l.back(fmt.Sprint(markPrefix, 10*mostMarks-1)); !ok || p.position != 10*mostMarks-1 {
		t.Errorf("the latest: %+v, %v", p, ok)
	}
}

// TestFenceWithin: a generation is enough, a turn is enough, a session is all.
func TestFenceWithin(t *testing.T) {
	p := place{"a", 3, 0}
	for _, f := range []transport.Fence{{Turn: "a"}, {Generation: 3}, {Turn: "b", Generation: 3}, {Session: true}} {
		if !p.within(f) {
			t.Errorf("%+v does not hold %+v", f, p)
		}
	}
	for _, f := range []transport.Fence{{}, {Turn: "b"}, {Turn: "a", Generation: 2}} {
		if p.within(f) {
			t.Errorf("%+v holds %+v", f, p)
		}
	}
}

// arrive puts chunks into an order and tells what comes out.
func arrive(o *order, chunks ...int64) string {
	var out []string
	for _, c := range chunks {
		o.put(c, []byte{byte(c)}, func(missing int64, sound []byte) {
			if missing > 0 {
				out = append(out, fmt.Sprintf("[%d]", missing))
				return
			}
			out = append(out, fmt.Sprint(sound[0]))
		})
	}
	return strings.Join(out, " ")
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name   string
		apart  int
		chunks []int64
		want   string
		late   int64
	}{
		{"in order", 5, []int64{1, 2, 3}, "1 2 3", 0},
		{"begins anywhere", 5, []int64{7, 8}, "7 8", 0},
		{"no numbers", 5, []int64{0, 0}, "0 0", 0},
		{"overtaken", 5, []int64{1, 3, 2, 4}, "1 2 3 4", 0},
		{"turned around", 5, []int64{1, 6, 5, 4, 3, 2, 7}, "1 2 3 4 5 6 7", 0},
		{"missing", 2, []int64{1, 3, 4, 5, 6}, "1 [1] 3 4 5 6", 0},
		{"missing at once where nothing is held", 0, []int64{1, 4, 5}, "1 [2] 4 5", 0},
		{"late", 0, []int64{1, 3, 2, 4}, "1 [1] 3 4", 1},
		{"twice", 5, []int64{1, 1, 3, 3, 2}, "1 2 3", 2},
		{"counts anew", 0, []int64{900, 901, 1, 2}, "132 133 1 2", 0},
		{"counts anew with some held", 5, []int64{901, 903, 1, 2}, "133 [1] 135 1 2", 0},
		{"jumps", 0, []int64{1, 1 << 50, 1<<50 + 1}, "1 0 1", 0},
	} {
		o := order{apart: c.apart}
		if got := arrive(&o, c.chunks...); got != c.want || o.late != c.late {
			t.Errorf("%s: %q, %d late; want %q, %d", c.name, got, o.late, c.want, c.late)
		}
	}
}

// TestOrderHoldsLittle: whatever comes, no more than apart is held, everything comes out
// once and in order, and is counted otherwise.
func TestOrderHoldsLittle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		o := order{apart: r.IntN(6)}
		list := make([]int64, 100)
		for i := range list {
			list[i] = int64(i + 1 + r.IntN(8))
		}
		r.Shuffle(4, func(i, j int) { list[i], list[j] = list[j], list[i] })
		var out []int64
		for _, c := range list {
			o.put(c, []byte{byte(c)}, func(missing int64, sound []byte) {
				if missing == 0 {
					out = append(out, int64(sound[0]))
				}
			})
			if len(o.held) > o.apart {
				t.Fatalf("%d are held of at most %d", len(o.held), o.apart)
			}
		}
		if !slices.IsSorted(out) || len(out) != len(slices.Compact(slices.Clone(out))) {
			t.Fatalf("apart %d: %v came out", o.apart, out)
		}
		if int64(len(out))+o.late+int64(len(o.held)) != int64(len(list)) {
			t.Fatalf("%d came, %d went out, %d late, %d held", len(list), len(out), o.late, len(o.held))
		}
	}
}
