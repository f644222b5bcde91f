// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// fan is a board whose edges are named by their ends: "a>x/key" leads to x under a key.
func fan(edges ...string) *Board {
	b := &Board{}
	for _, e := range edges {
		id, rest, _ := strings.Cut(e, ">")
		to, key, _ := strings.Cut(rest, "/")
		b.Add(Ends{ID: id, To: to, Key: key}, wide())
	}
	return b
}

// give offers items in order: "a" puts a frame on edge a, "a!" control, "a~" telemetry.
func give(t *testing.T, b *Board, items string) {
	t.Helper()
	var log Log
	for i, name := range strings.Fields(items) {
		it := Item{Seq: int64(i + 1), Handle: int64(i + 1), Kind: Audio, Lane: Data, Bytes: 1}
		if id, ok := strings.CutSuffix(name, "!"); ok {
			name, it.Kind, it.Lane = id, Marker, Control
		} else if id, ok := strings.CutSuffix(name, "~"); ok {
			name, it.Kind, it.Lane = id, Metric, Telemetry
		}
		n, ok := b.Find(name)
		if !ok {
			t.Fatalf("no edge %q", name)
		}
		if v := b.Edge(n).Offer(0, it, &log); v != Taken {
			t.Fatalf("%s: verdict %d", name, v)
		}
	}
}

// served takes all that the consumers are ready for.
func served(b *Board) string {
	var log Log
	var out []string
	for {
		n, it, ok := b.Next(0, &log)
		if !ok {
			return strings.Join(out, " ")
		}
		out = append(out, fmt.Sprint(b.Ends(n).ID, it.Seq))
	}
}

// Flow section 4: "strict priority Control, Data, Telemetry; inside a lane FIFO by
// runtime_sequence, modified only by fairness keys". Several edges with one consumer are a
// fan-in, merged by sequence_order (turn-plan section 6).
func TestFanIn(t *testing.T) {
	b := fan("a>x", "b>x", "c>x")
	give(t, b, "a~ c b a a! b b~ c! a c")
	b.Ready("x", 100)
	if got, want := served(b), "a5 c8 c2 b3 a4 b6 a9 c10 a1 b7"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Lanes come before consumers: no consumer's data goes ahead of another's control.
func TestLanesBeforeConsumers(t *testing.T) {
	b := fan("a>x", "b>y")
	give(t, b, "a~ a b~ b b!")
	b.Ready("x", 100)
	b.Ready("y", 100)
	if got, want := served(b), "b5 a2 b4 a1 b3"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Flow section 7: "Between keys service is round-robin". A key with much to say keeps no
// other waiting for more than a round, and of one key the order holds across its edges.
func TestFairnessKeys(t *testing.T) {
	b := fan("a>x/k1", "b>x/k2", "c>x/k3", "d>x/k1")
	give(t, b, "a a a d d a b b c a")
	b.Ready("x", 100)
	if got, want := served(b), "a1 b7 c9 a2 b8 a3 d4 d5 a6 a10"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Each lane has its own turn: control of one key between does not take the key's turn
// away from its data.
func TestLanesTakeTurnsApart(t *testing.T) {
	b := fan("a>x/k1", "b>x/k2")
	give(t, b, "a a b b a b")
	var got []string
	for range 6 {
		give(t, b, "a!")
		b.Ready("x", 2)
		_, data, _ := strings.Cut(served(b), " ") // behind the control
		got = append(got, data)
	}
	if want := []string{"a1", "b3", "a2", "b4", "a5", "b6"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Two consumers of one name are one, and an edge without one is taken from by its number.
func TestConsumers(t *testing.T) {
	b := fan("a>x", "b>y", "c>", "d>x")
	if b.Len() != 4 || len(b.consumers) != 2 || b.Ends(3).ID != "d" || b.Edge(3).number != 3 {
		t.Fatalf("%d edges, %d consumers", b.Len(), len(b.consumers))
	}
	if _, ok := b.Find("e"); ok {
		t.Error("an edge is found that is not there")
	}
	give(t, b, "a b c d")
	b.Ready("x", 100)
	b.Ready("y", 100)
	if got := served(b); got != "a1 d4 b2" {
		t.Errorf("served %s", got)
	}
	var log Log
	if it, ok := b.Edge(2).Take(0, &log); !ok || it.Seq != 3 {
		t.Errorf("%v %v of the edge without a consumer", it, ok)
	}
}

// A consumer gets as many as it asked for; what it asks for more than anybody can have is
// bounded, and asking for less than nothing takes nothing back.
func TestDemand(t *testing.T) {
	b := fan("a>x")
	give(t, b, "a a a a a a")
	if got := served(b); got != "" {
		t.Errorf("nobody asked, and gets %s", got)
	}
	b.Ready("x", 2)
	b.Ready("x", -5)
	b.Ready("x", 1)
	if got := served(b); got != "a1 a2 a3" {
		t.Errorf("three asked for, got %s", got)
	}
	for range 3 {
		b.Ready("x", 1<<63-1)
	}
	if d := b.consumers[0].demand; d != maxDemand {
		t.Errorf("a demand of %d", d)
	}
	if got := served(b); got != "a4 a5 a6" {
		t.Errorf("without bound asked for, got %s", got)
	}
	// It may ask before there is an edge to it.
	b = fan()
	b.Ready("x", 1)
	b.Add(Ends{ID: "a", To: "x"}, wide())
	give(t, b, "a a")
	if got := served(b); got != "a1" {
		t.Errorf("asked for before, got %s", got)
	}
}

// What is stale on an edge is shed before the board chooses, and its notice is out before
// anything of that edge is delivered.
func TestBoardShedsWhatIsStale(t *testing.T) {
	var b Board
	short := wide(func(s *Spec) { s.Latency = timebase.MS(10) })
	b.Add(Ends{ID: "a", To: "x"}, short)
	b.Add(Ends{ID: "b", To: "x"}, wide())
	give(t, &b, "a b a")
	b.Ready("x", 10)
	late := timebase.Instant(timebase.MS(11))
	var log Log
	n, it, ok := b.Next(late, &log)
	if !ok || n != 1 || it.Seq != 2 || len(log.List) != 2 {
		t.Errorf("edge %d gives %d, %v", n, it.Seq, log.List)
	}
	if _, _, ok = b.Next(late, &log); ok {
		t.Error("there is more")
	}
	log.Reset()
	b.Announce(&log)
	if len(log.List) != 2 || words(&log.List[0]) != "drop 1..3 max_latency n=2 #1" {
		t.Errorf("%v", log.List)
	}
}

// A fence reaches every edge, and time acts where it is due.
func TestBoardPurgeAndExpire(t *testing.T) {
	var b Board
	s := blocks("drop")
	for _, id := range []string{"a", "b", "c"} {
		b.Add(Ends{ID: id, To: "x"}, s)
	}
	var log Log
	seq := int64(0)
	offer := func(edge int, now timebase.Instant, scope uint32) {
		seq++
		b.Edge(edge).Offer(now, Item{Seq: seq, Handle: seq, Kind: Interim, Lane: Data, Scope: scope, Bytes: 1}, &log)
	}
	if b.Due() != timebase.Never {
		t.Error("something is due")
	}
	for range 3 {
		offer(0, 5, 1)
	}
	for range 3 {
		offer(1, 7, 2)
	}
	offer(2, 7, 1)
	if due := b.Due(); due != timebase.Instant(5).Add(s.Block) || len(log.List) != 0 {
		t.Fatalf("due at %d, %v", due, log.List)
	}
	b.Expire(timebase.Instant(4).Add(s.Block), &log)
	if len(log.List) != 0 {
		t.Fatalf("before anything is due: %v", log.List)
	}
	b.Expire(b.Due(), &log)
	if len(log.List) != 2 || words(&log.List[0]) != "release 1" || words(&log.List[1]) != "admit 3" {
		t.Errorf("%v", log.List)
	}
	log.Reset()
	b.Purge(8, 1, Fenced, &log)
	b.Announce(&log)
	var got []string
	for i := range log.List {
		got = append(got, fmt.Sprint(log.List[i].Edge, " ", words(&log.List[i])))
	}
	if want := []string{"0 release 2", "0 drop 1..1 block_timeout", "0 release 3", "2 release 7", "0 drop 2..3 fenced", "2 drop 7..7 fenced"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
