// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync/atomic"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/connection"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// listener is the recognition of one utterance: an instance of the stt node with its
// own place in the ring. It is fed from the pre-roll on, as fast as the engine takes
// it, and then as the audio comes.
type listener struct {
	id       eventabi.InvocationID
	from     timebase.Samples
	instance *nodehost.Instance
	reader   *connection.Reader
	through  atomic.Int64 // where the utterance ends; negative = not known yet
	piece    [listenSamples]int16
	may      atomic.Bool // the recogniser is one of those that its node may have at a time
	hosted   atomic.Pointer[nodehost.Instance]

	// Of the instance's worker.
	opened, finalised bool
}

// listenSamples is what a recogniser is given at once while it catches up, 100 ms.
const listenSamples = timebase.SampleRate / 10

// listen opens a recogniser.
func (g *graph) listen(e *session.Open) {
	s := g.s
	stt := s.settings.Providers.STTs()[e.Candidate]
	r := g.request(e.Invocation, "", 1, 0)
	r.Candidate, r.Provider = e.Candidate, stt.Descriptor()
	l := &listener{id: e.Invocation, from: e.From}
	call, now := g.begin(nodeSTT, r, l.granted)
	if call == nil {
		return
	}
	_, sound := g.heardFrom()
	l.reader = sound.Listen(e.From)
	if now {
		l.may.Store(true)
	}
	l.through.Store(-1)
	n := invocation.NewSTTNode(g.calls, stt, s.spokenIn(e.Language))
	instance, err := g.host(n, nodeSTT, nil, g.transcript, func(f nodehost.Failure) {
		g.nodeFailed(f)
		call.Fail(provider.Outcome{Class: provider.OutcomeInfrastructureFailure, Reason: "node_failed", Detail: f.Detail})
	})
	if err != nil {
		l.reader.Close()
		call.Fail(provider.Outcome{Class: provider.OutcomeInfrastructureFailure, Reason: "node_refused", Detail: err.Error()})
		return
	}
	l.instance = instance
	instance.Feed(l.pull)
	l.hosted.Store(instance)
	g.change(func(list []*listener) []*listener { return append(list, l) })
	instance.Kick()
}

// granted lets a recogniser begin that had to wait for another to end. Its audio waited on
// the edge.
func (l *listener) granted() {
	l.may.Store(true)
	if i := l.hosted.Load(); i != nil {
		i.Kick()
	}
}

// pull gives the next event of the utterance: open, audio, finalise.
func (l *listener) pull(ev *node.Event) bool {
	if !l.may.Load() {
		return false
	}
	control := func(t node.Type, sample int64) bool {
		*ev = node.Event{Kind: eventabi.KindControl, Type: t, Class: eventabi.ClassMetadata, Invocation: l.id, Sample: sample}
		return true
	}
	if !l.opened {
		l.opened = true
		return control(node.TypeListen, int64(l.from))
	}
	if l.finalised {
		return false
	}
	through := l.through.Load()
	if n, at := l.reader.Read(l.piece[:], timebase.Samples(through)); n > 0 {
		ev.Invocation = l.id
		return audioEvent(ev, at, l.piece[:n])
	}
	if through < 0 || int64(l.reader.At()) < through {
		return false
	}
	l.finalised = true
	return control(node.TypeFinalize, through)
}

// finalize says where the utterance ends.
func (g *graph) finalize(e *session.Finalize) {
	if l := g.listener(e.Invocation); l != nil {
		l.through.Store(int64(min(e.Through, g.s.ring.Head())))
		l.instance.Kick()
	}
}

func (g *graph) transcript(ev *node.Event) {
	in := &session.Transcript{Invocation: ev.Invocation, Revision: ev.Index, Final: ev.Final, Text: g.s.describe(ev.Text)}
	if g.s.settings.Graph != nil && ev.Final {
		in.Attributes = g.s.about(attributesIn(ev.Attributes))
	}
	g.s.post(in)
}

func (g *graph) listener(id eventabi.InvocationID) *listener {
	for _, l := range *g.listening.Load() {
		if l.id == id {
			return l
		}
	}
	return nil
}

// unlisten ends a recognition and lets its recogniser go.
func (g *graph) unlisten(id eventabi.InvocationID) {
	var gone *listener
	g.change(func(list []*listener) []*listener {
		kept := list[:0]
		for _, l := range list {
			if l.id == id {
				gone = l
				continue
			}
			kept = append(kept, l)
		}
		return kept
	})
	if gone != nil {
		g.s.place.Audio(g.s.hostTime(), gone.reader.At()-gone.from)
		gone.reader.Close()
		gone.instance.Stop()
	}
}

// change replaces the list of listeners by a changed copy.
func (g *graph) change(f func([]*listener) []*listener) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := *g.listening.Load()
	list := f(append(make([]*listener, 0, len(old)+1), old...))
	g.listening.Store(&list)
}
