// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"fmt"
	"sync"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
)

// Tap is a node beside the voice graph: a session-scoped stream processor that reads
// along and may be slower than the conversation. It takes one item at a time, from
// whichever of its edges the kernel chooses, and what it cannot keep up with is merged,
// dropped or sampled on the edge. What it emits goes to the edges that name it as their
// source. When it fails, the session goes on without it.
type Tap struct {
	ID eventabi.NodeID
	// Node makes the tap's instance, once a session.
	Node func() (node.Node, error)
}

// taps are the taps of one session.
type taps struct {
	s    *Session
	list []*tap
}

// tap is one of them. It holds no more than what it asked for.
type tap struct {
	s        *Session
	id       eventabi.NodeID
	instance *nodehost.Instance

	mu      sync.Mutex
	box     []node.Event
	working bool // the event that was pulled last is not done yet
	outs    []outEdge
	count   int64
}

// validateTaps reports what is wrong with the taps that were set.
func validateTaps(list []Tap) (faults []error) {
	seen := map[eventabi.NodeID]bool{}
	for i, t := range list {
		if t.ID == "" || seen[t.ID] {
			faults = append(faults, fmt.Errorf("sessionhost: taps[%d].id: %q: give each tap a name of its own", i, t.ID))
		}
		seen[t.ID] = true
		if t.Node == nil {
			faults = append(faults, fmt.Errorf("sessionhost: taps[%d].node: is missing: give a node factory", i))
		}
	}
	return faults
}

// start hosts the taps and asks for their first items.
func (t *taps) start() {
	for _, set := range t.s.settings.Taps {
		x := &tap{s: t.s, id: set.ID, outs: t.s.settings.outEdges(set.ID)}
		n, err := set.Node()
		if err == nil {
			x.instance, err = t.s.graph.host(n, set.ID, nil, x.emit, t.s.graph.nodeFailed)
		}
		if err != nil {
			t.s.graph.nodeFailed(nodehost.Failure{Node: set.ID, Reason: nodehost.ReasonError, Hook: "init", Detail: err.Error()})
			continue
		}
		x.instance.Feed(x.pull)
		t.list = append(t.list, x)
		t.s.post(&session.Ready{To: string(set.ID), Count: 1})
	}
}

// deliver puts an item into the box of its tap.
func (t *taps) deliver(e *session.Deliver) {
	for _, x := range t.list {
		if string(x.id) == e.To {
			x.put(e)
			return
		}
	}
}

func (x *tap) put(e *session.Deliver) {
	ev := node.Event{Kind: eventabi.KindText, Type: node.TypeTranscript, Class: eventabi.ClassTextRaw, At: node.Instant(x.s.exec.Now())}
	switch {
	case e.Kind == session.ItemAudio:
		ev.Kind, ev.Type, ev.Class = eventabi.KindAudio, node.TypeAudioChunk, eventabi.ClassAudioRaw
		ev.PCM = x.s.content.samples(e.Handle)
		x.s.content.dropAudio(e.Handle)
	case e.From == session.FromAgentText:
		ev.Type = node.TypeSegment
		fallthrough
	default:
		ev.Text, ev.Final = x.s.content.text(e.Handle), e.Kind != session.ItemInterim
	}
	x.mu.Lock()
	ev.Index = x.count
	x.count++
	x.box = append(x.box, ev)
	x.mu.Unlock()
	x.instance.Kick()
}

// pull gives the tap its next event, or asks the kernel for another one when the last is
// done.
func (x *tap) pull(ev *node.Event) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.box) == 0 {
		if x.working && !x.stopped() { // it asks for nothing that it could not pass on
			x.working = false
			x.s.post(&session.Ready{To: string(x.id), Count: 1})
		}
		return false
	}
	*ev = x.box[0]
	x.box = append(x.box[:0], x.box[1:]...)
	x.working = true
	return true
}

func (t *taps) close() {
	for _, x := range t.list {
		x.instance.Stop()
	}
}
