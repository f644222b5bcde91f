// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
)

// entry is a numbered message.
type entry struct {
	seq    int64
	data   []byte
	binary bool
}

// in gives the message in an encoding; one that cannot be had in it as it is: clients read both.
func (e *entry) in(binary bool) (data []byte, is bool) {
	if e.binary == binary {
		return e.data, binary
	}
	data, err := wire.Recode(e.data, e.binary)
	if err != nil {
		return e.data, e.binary
	}
	return data, binary
}

// log keeps the latest numbered messages of a session, as many as most and as large as
// logBytes together.
type log struct {
	most    int
	last    int64 // number of the newest, of all that were ever sent
	entries []entry
	bytes   int
}

func (g *log) add(data []byte, binary bool) {
	g.last++
	g.entries = append(g.entries, entry{g.last, data, binary})
	g.bytes += len(data)
	drop := 0
	for len(g.entries)-drop > g.most || g.bytes > logBytes {
		g.bytes -= len(g.entries[drop].data)
		g.entries[drop] = entry{}
		drop++
	}
	g.entries = g.entries[drop:]
}

// since gives the messages after a number, and how many of them are not kept any more.
func (g *log) since(received int64) (list []entry, missed int64) {
	first := g.last + 1
	if len(g.entries) > 0 {
		first = g.entries[0].seq
	}
	if received >= g.last {
		return nil, 0
	}
	missed = max(0, first-received-1)
	return g.entries[max(0, received+1-first):], missed
}

// keysKept is how many keys of a client are remembered; the kernel remembers more.
const keysKept = 1024

// keys remembers the keys of a client, newest over oldest.
type keys struct {
	ring []eventabi.IdempotencyKey
	next int
	set  map[eventabi.IdempotencyKey]bool
}

// first says that a key is new, and remembers it.
func (k *keys) first(key eventabi.IdempotencyKey) bool {
	if k.set[key] {
		return false
	}
	if k.set == nil {
		k.set = map[eventabi.IdempotencyKey]bool{}
	}
	if len(k.ring) < keysKept {
		k.ring = append(k.ring, key)
	} else {
		delete(k.set, k.ring[k.next]) // the oldest
		k.ring[k.next] = key
		k.next = (k.next + 1) % keysKept
	}
	k.set[key] = true
	return true
}

// forget takes back the key that first has just taken.
func (k *keys) forget(key eventabi.IdempotencyKey) {
	if !k.set[key] {
		return
	}
	delete(k.set, key)
	for i, one := range k.ring {
		if one == key {
			k.ring[i] = "" // the set knows better
		}
	}
}

// outputsKept is how many outputs are remembered; the runtime has at most eight turns'
// audio under way.
const outputsKept = 16

// output is what was sent of one generation.
type output struct {
	turn       eventabi.TurnID
	generation uint32
	end        int64 // position behind what was sent, at the runtime's rate
	wire       int64 // the same, at the rate of the connection's format
	announced  bool  // on this connection
	fenced     bool
}

// outputs remembers the latest outputs, newest last.
type outputs struct {
	list  []*output
	never bool // the session is fenced
}

// of finds the output of a frame, and says whether it is to be announced.
func (o *outputs) of(f *transport.Frame) (out *output, began bool) {
	out = o.find(f.Generation)
	if out == nil {
		out = &output{turn: f.Turn, generation: f.Generation}
		o.keep(out)
	}
	began = !out.announced
	out.announced = true
	return out, began
}

func (o *outputs) keep(out *output) {
	if len(o.list) >= outputsKept {
		o.list[0] = nil
		o.list = o.list[1:]
	}
	o.list = append(o.list, out)
}

func (o *outputs) find(generation uint32) *output {
	for i := len(o.list) - 1; i >= 0; i-- {
		if o.list[i].generation == generation {
			return o.list[i]
		}
	}
	return nil
}

// moved says that the client has another connection, and maybe another format: what was
// sent on the old one has no positions on the new one.
func (o *outputs) moved() {
	for _, out := range o.list {
		out.announced, out.wire = false, -1
	}
}

// fence says whether a fence is new, and remembers it.
func (o *outputs) fence(f transport.Fence) bool {
	if f.Session {
		is := !o.never
		o.never = true
		return is
	}
	out := o.find(f.Generation)
	if out == nil {
		out = &output{turn: f.Turn, generation: f.Generation}
		o.keep(out)
	}
	is := !out.fenced
	out.fenced = true
	return is
}

// fences are those that stand, as far as they are remembered.
func (o *outputs) fences() (list []wire.Fence) {
	for _, out := range o.list {
		if out.fenced {
			list = append(list, wire.Fence{Generation: out.generation, Turn: out.turn})
		}
	}
	if o.never {
		list = append(list, wire.Fence{Session: true})
	}
	return list
}

func (o *output) sent(end, wire int64) { o.end, o.wire = max(o.end, end), max(o.wire, wire) }

// gate lets calls through to Ingress until it is closed.
type gate struct {
	in transport.Ingress

	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{}
}

// gateWithin bounds how long close waits for a call that is under way: one that was made
// from inside Close can not end before it.
const gateWithin = time.Second

func (g *gate) call(do func(transport.Ingress)) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.inside++
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.inside--
		if g.inside == 0 && g.empty != nil {
			close(g.empty)
			g.empty = nil
		}
	}()
	do(g.in)
}

// close lets nothing more through, and waits for what is under way.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	if g.inside == 0 {
		g.mu.Unlock()
		return
	}
	if g.empty == nil {
		g.empty = make(chan struct{})
	}
	empty := g.empty
	g.mu.Unlock()
	t := time.NewTimer(gateWithin)
	defer t.Stop()
	select {
	case <-empty:
	case <-t.C:
	}
}
