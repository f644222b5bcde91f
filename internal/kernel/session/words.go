// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/graph"
)

// words is a transcript on its way from the recogniser to the turn.
type words struct {
	seq        int64
	utterance  int64
	text       TextRef
	final      bool
	attributes []graph.Attribute
}

// Typed words have no utterance.
const (
	typedStream = 1 << 40
	typedOf     = "text"
)

// hearWords takes everything that lies on the edge from the recogniser. It is asked
// behind every run of transcripts, so nothing that came later goes ahead of them. Interim
// ones that a flood has made obsolete were dropped on the edge (F-053); a final never is.
func (m *Machine) hearWords() {
	if len(m.edges.words) == 0 {
		return
	}
	e := m.edge(edgeWords)
	if e == nil { // there is no plan: nothing waits
		for i := range m.edges.words {
			m.heardWords(&m.edges.words[i])
		}
		m.edges.words = m.edges.words[:0]
		return
	}
	for {
		it, ok := e.Take(m.now, &m.edges.log)
		if !ok {
			break
		}
		for i := range m.edges.words {
			if m.edges.words[i].seq == it.Seq {
				m.heardWords(&m.edges.words[i])
				break
			}
		}
	}
	m.edges.words = m.edges.words[:0]
}

// heardWords applies a transcript to its utterance.
func (m *Machine) heardWords(w *words) {
	u := m.utterance(w.utterance)
	if u == nil || u.final {
		return
	}
	u.text, u.attributes = w.text, w.attributes
	kind := flow.Interim
	if w.final {
		kind = flow.Final
	}
	m.tell(FromCallerText, flow.Item{
		Seq: w.seq, Handle: w.text.Handle, Kind: kind, Lane: flow.Data, Stream: u.number, Bytes: mostBytes(w.text.Runes), Of: string(u.stt),
	})
	if u.judging {
		m.interruption.judge.Text(textKind(w.text.Class), w.text.Words)
	}
	if w.final {
		m.finalText(u)
	}
}
