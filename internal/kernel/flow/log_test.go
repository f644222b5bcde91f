// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"reflect"
	"slices"
	"testing"
)

// Flow section 4: the reasons of a drop notice, in these words.
func TestReasons(t *testing.T) {
	want := []string{
		"", "max_items", "max_bytes", "max_queue_ms", "max_latency", "block_timeout", "watermark", "sync_atomic", "fenced", "shed", "unknown",
	}
	var got []string
	for r := range ReasonCount + 1 {
		got = append(got, r.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// An event names its edge, and a log that was emptied keeps its memory but nothing else.
func TestLog(t *testing.T) {
	var b Board
	b.Add(Ends{ID: "a"}, wide())
	n := b.Add(Ends{ID: "b"}, wide(func(s *Spec) { s.Items = 1 }))
	var log Log
	for seq := range int64(3) {
		b.Edge(n).Offer(0, Item{Seq: seq, Handle: seq + 5, Kind: Interim, Lane: Data, Bytes: 1}, &log)
	}
	if len(log.List) != 2 || !reflect.DeepEqual(log.List[0], Event{Edge: n, What: Released, Handle: 5, Reason: MaxItems}) {
		t.Fatalf("%+v", log.List)
	}
	log.Reset()
	if room := log.List[:cap(log.List)]; len(log.List) != 0 || len(room) < 2 || !reflect.DeepEqual(room[0], Event{}) {
		t.Errorf("after a reset %+v", room)
	}
	b.Edge(n).release(&log, 0)
	if len(log.List) != 0 {
		t.Error("an item without content has something released")
	}
}
