// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/api/controlplane"
)

// plain is what flow section 1 says of a queue of revisions, in the fewest words: no time,
// no lanes, nothing protected, nobody who waits.
type plain struct {
	s       *Spec
	list    []Item
	counted int64
}

func (p *plain) fits(it *Item) bool {
	bytes := it.Bytes
	for i := range p.list {
		bytes += p.list[i].Bytes
	}
	return int64(len(p.list)) < p.s.Items && bytes <= p.s.Bytes
}

func (p *plain) offer(it Item) {
	if p.fits(&it) {
		p.list = append(p.list, it)
		return
	}
	if p.s.Strategy == controlplane.StrategyMerge && p.replaceLast(&it) || it.Bytes > p.s.Bytes {
		return
	}
	switch p.s.Strategy {
	case controlplane.StrategyDrop:
		if p.s.Victim == controlplane.VictimNewest {
			return
		}
	case controlplane.StrategySample:
		if p.counted++; p.counted%p.s.Every != 0 {
			return
		}
	case controlplane.StrategyLatestOnly:
		all := append(slices.Clone(p.list), it)
		p.list = slices.DeleteFunc(p.list, func(x Item) bool { // there is a newer one of its stream
			return slices.ContainsFunc(all, func(y Item) bool { return y.Stream == x.Stream && y.Seq > x.Seq })
		})
	case controlplane.StrategyMerge: // of neighbours of one stream the newest stands for all
		var merged []Item
		for i, x := range p.list {
			if i+1 == len(p.list) || p.list[i+1].Stream != x.Stream {
				merged = append(merged, x)
			}
		}
		p.list = merged
	case controlplane.StrategyBlock:
	}
	for !p.fits(&it) {
		p.list = p.list[1:]
	}
	p.list = append(p.list, it)
}

// replaceLast lets an item stand for the last one, where that is of its stream and the
// bytes allow it.
func (p *plain) replaceLast(it *Item) bool {
	n := len(p.list) - 1
	if n < 0 || p.list[n].Stream != it.Stream {
		return false
	}
	old := p.list[n]
	p.list[n] = *it
	var bytes int64
	for i := range p.list {
		bytes += p.list[i].Bytes
	}
	if bytes > p.s.Bytes {
		p.list[n] = old
		return false
	}
	return true
}

// Flow section 1, the table of strategies: whatever is offered and taken, an edge holds
// what the table says.
func TestEdgeAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := wide(func(s *Spec) {
			s.Strategy = rapid.SampledFrom([]controlplane.BufferStrategy{"drop", "merge", "sample", "latest_only"}).Draw(t, "strategy")
			s.Victim = rapid.SampledFrom([]controlplane.DropVictim{"oldest", "newest"}).Draw(t, "victim")
			s.Items = rapid.Int64Range(1, 5).Draw(t, "items")
			s.Bytes = rapid.Int64Range(1, 60).Draw(t, "bytes")
			s.Every = rapid.Int64Range(1, 4).Draw(t, "every")
		})
		e, p := NewEdge(s), &plain{s: s}
		var log Log
		for seq := range rapid.Int64Range(1, 80).Draw(t, "calls") {
			if rapid.IntRange(0, 4).Draw(t, "take") == 0 {
				it, ok := e.Take(0, &log)
				if ok != (len(p.list) > 0) || ok && it.Seq != p.list[0].Seq {
					t.Fatalf("%d is taken, %v; there are %v", it.Seq, ok, seqs(p.list))
				}
				p.list = p.list[min(1, len(p.list)):]
				continue
			}
			it := Item{
				Seq: seq + 1, Handle: seq + 1, Kind: Interim, Lane: Data,
				Stream: rapid.Int64Range(0, 2).Draw(t, "stream"), Bytes: rapid.Int64Range(1, 25).Draw(t, "size"),
			}
			p.offer(it)
			e.Offer(0, it, &log)
			q := &e.lanes[Data]
			if got := seqs(q.items[q.head:]); got != seqs(p.list) {
				t.Fatalf("behind %d lie %s, want %s", it.Seq, got, seqs(p.list))
			}
		}
	})
}

func seqs(list []Item) string {
	var out []string
	for i := range list {
		out = append(out, fmt.Sprintf("%d/%d:%d", list[i].Seq, list[i].Stream, list[i].Bytes))
	}
	return fmt.Sprint(out)
}
