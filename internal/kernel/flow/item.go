// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"slices"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Kind says what an item is, as far as an edge has to know.
type Kind uint8

// The kinds of items.
const (
	Audio    Kind = iota // sound, of Media length
	Interim              // text that a later revision replaces
	Final                // text that stands
	Semantic             // tool results and structured intents
	Marker               // audio_end and terminal markers
	Metric               // telemetry
	kindCount
)

// Protected items are never shed or merged away (flow section 1).
func (k Kind) Protected() bool { return k == Final || k == Semantic || k == Marker }

func (k Kind) String() string {
	if k >= kindCount {
		return "unknown"
	}
	return [...]string{"audio", "interim", "final", "semantic", "marker", "metric"}[k]
}

// Item describes what lies in an edge. The content stays with the shell, by handle.
type Item struct {
	Seq    int64 // runtime_sequence, stamped when it was offered; of a merged item the newest
	First  int64 // of a merged item the oldest sequence, else Seq
	Handle int64 // the shell's key to the content; 0 = it needs none
	Kind   Kind
	Lane   Lane
	// Stream is what items belong to that can stand for each other: they merge with their
	// neighbours, and under latest_only the newest stands for the rest. Control of one stream
	// says the same, 0 = nothing that is said twice.
	Stream int64
	Group  int64            // sync group, 0 = none
	Scope  uint32           // generation of the turn it belongs to, 0 = the session's
	Bytes  int64            // of the content
	Media  timebase.Span    // length of sound, 0 = it has none
	End    timebase.Samples // position behind it, where a consumer is known by its position
	// Sources are the sequences that were merged into this item, oldest first, at most 64;
	// nil when it is not merged. Merged counts all of them.
	Sources []int64
	Merged  int64
	From    string        // the stream that it comes from, and of it
	Of      string        // the utterance or the turn, for its consumer
	Waited  timebase.Span // in the queue, when it was delivered

	since   timebase.Span // when it came into the queue, on the edge's clock
	oldest  int64         // number of the offer in its lane; of a merged item the oldest,
	ordinal int64         // and the newest
	paid    bool          // its producer had a credit for it, or needed none
}

// absorb merges a younger neighbour into the item. Sound is joined; of text and metrics
// the newest stands. It gives the handle that is not needed any more, 0 when there is
// none, and whether the contents have to be joined.
func (it *Item) absorb(younger *Item) (released int64, joined bool) {
	it.lineage(younger)
	it.Seq = younger.Seq
	it.ordinal = younger.ordinal
	it.End = younger.End
	if it.Kind == Audio {
		it.Bytes += younger.Bytes
		it.Media += younger.Media
		return younger.Handle, true
	}
	released, it.Handle = it.Handle, younger.Handle
	it.Bytes, it.Media = younger.Bytes, younger.Media
	it.since = younger.since // what has waited longer is gone
	return released, false
}

// lineage adds the sources of a younger item.
func (it *Item) lineage(younger *Item) {
	if it.Merged == 0 {
		it.Sources, it.Merged = append(make([]int64, 0, 4), it.Seq), 1
	}
	it.Merged += younger.Count()
	if younger.Merged > 0 {
		it.Sources = append(it.Sources, younger.Sources...)
	} else {
		it.Sources = append(it.Sources, younger.Seq)
	}
	if n := len(it.Sources); n > maxSources {
		it.Sources = append(it.Sources[:maxSources-1], it.Sources[n-1])
	}
}

// Count is how many offered items the item stands for.
func (it *Item) Count() int64 { return max(1, it.Merged) }

// alike says that two neighbours can be merged. Contents can be joined where both have
// one, or neither.
func (it *Item) alike(younger *Item) bool {
	switch {
	case it.Kind.Protected() || it.Scope != younger.Scope || it.Group != younger.Group || it.Of != younger.Of:
		return false
	case it.Kind == Audio && (it.Bytes+younger.Bytes > maxMergedBytes || (it.Handle == 0) != (younger.Handle == 0)):
		return false
	}
	return it.same(younger)
}

// same says that of two items the younger can stand for the older: they are of one kind
// and one stream.
func (it *Item) same(younger *Item) bool {
	return it.Kind == younger.Kind && it.Stream == younger.Stream
}

// queue holds the items of one lane of an edge, in order.
type queue struct {
	items []Item // items[head:] wait
	head  int
	bytes int64
	media timebase.Span
	held  int // items that are protected
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) at(i int) *Item { return &q.items[q.head+i] }

// push puts an item last. The room before the head is used again once it is half of all
// there is, so that no item is moved more than once on average.
func (q *queue) push(it *Item) {
	if len(q.items) == cap(q.items) && q.head > q.len() {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, *it)
	q.count(it, 1)
}

// count enters an item in the queue's sums, or strikes it out (-1).
func (q *queue) count(it *Item, sign int) {
	q.bytes += int64(sign) * it.Bytes
	q.media += timebase.Span(sign) * it.Media
	if it.Kind.Protected() {
		q.held += sign
	}
}

// sweep takes out, in one pass, the items that gone says by their places. What it has kept
// so far lies in front, in order; what it has not come to yet is where it was.
func (q *queue) sweep(gone func(i int) bool) {
	kept := q.head
	for i := q.head; i < len(q.items); i++ {
		if gone(i - q.head) {
			q.count(&q.items[i], -1)
			continue
		}
		q.items[kept] = q.items[i]
		kept++
	}
	clear(q.items[kept:])
	q.items = q.items[:kept]
	q.rewind()
}

// rewind starts at the front again when nothing is left.
func (q *queue) rewind() {
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
}

// shrink takes what lies before a position off the first item, and says whether anything
// did.
func (q *queue) shrink(through timebase.Samples) bool {
	it := q.at(0)
	gone := it.Media - (it.End - through).Span()
	if gone <= 0 || it.Media <= 0 {
		return false
	}
	bytes := it.Bytes * int64(timebase.SamplesIn(gone)) / max(1, int64(timebase.SamplesIn(it.Media)))
	it.Media -= gone
	it.Bytes -= bytes
	q.media -= gone
	q.bytes -= bytes
	return true
}

// rest counts the items at the head that together are less than a grain of sound: their
// consumer does not take them until more comes. Items of another scope do not make them more.
func (q *queue) rest(grain timebase.Span) (n int) {
	if grain == 0 || q.len() == 0 {
		return 0
	}
	scope, sound := q.at(0).Scope, timebase.Span(0)
	for ; n < q.len(); n++ {
		it := q.at(n)
		if sound += it.Media; it.Scope != scope || it.End == 0 || sound >= grain {
			break
		}
	}
	return n
}

// remove takes the i-th item out.
func (q *queue) remove(i int) Item {
	it := *q.at(i)
	q.count(&it, -1)
	if i == 0 {
		q.items[q.head] = Item{}
		q.head++
	} else {
		q.items = slices.Delete(q.items, q.head+i, q.head+i+1)
	}
	q.rewind()
	return it
}

// superseded says that a younger item which can stand for the i-th lies behind it.
func (q *queue) superseded(i int) bool {
	for j := i + 1; j < q.len(); j++ {
		if q.at(i).same(q.at(j)) {
			return true
		}
	}
	return false
}
