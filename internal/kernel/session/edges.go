// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// edges are the session's edges: those of the voice graph, and further ones that its
// policies declare. Each is made with its first item, so a session that says nothing
// holds none.
type edges struct {
	board  flow.Board
	log    flow.Log
	told   int             // of the log, what is told already
	number [voiceEdges]int // on the board, plus one; 0 = not made yet
	set    []EdgePolicy
	nodes  []NodePolicy
	flow   *FlowPolicy // nil = the profile's
	kinds  []voiceEdge // by number on the board; voiceEdges = a further edge
	shed   []shedWork  // by number
	words  []words     // transcripts that lie on their edge
	parked []chunk     // sound that waits with the synthesiser for room at egress
	live   bool        // the client reads text
	lost   []bool      // by number: the edge was cut off
	last   []int64     // by number: the sequence of the item that was given to it last
}

// voiceEdge is an edge of the voice graph.
type voiceEdge uint8

const (
	edgeVAD       voiceEdge = iota // caller audio to the endpointer; it lies in the shell's ring
	edgeSTT                        // caller audio to the recogniser; in the ring
	edgeWords                      // transcripts to the turn
	edgeReply                      // segments to the synthesiser
	edgeVoice                      // sound to the listener; it lies with egress
	edgeClient                     // words to the client
	edgeTelemetry                  // metrics to whoever looks on
	voiceEdges
)

// The consumers of the voice graph that take by asking.
const (
	consumerClient   = "client"
	consumerObserver = "observer"
)

func (v voiceEdge) ends() flow.Ends {
	return [...]flow.Ends{
		{ID: "transport-vad"},
		{ID: "transport-stt"},
		{ID: "stt-llm"},
		{ID: "llm-tts"},
		{ID: "tts-transport"},
		{ID: "text-client", To: consumerClient, Side: true},
		{ID: "telemetry", To: consumerObserver, Side: true},
	}[v]
}

// voiceEdgeOf gives the edge of the voice graph with an id.
func voiceEdgeOf(id eventabi.EdgeID) (voiceEdge, bool) {
	for v := range voiceEdges {
		if v.ends().ID == string(id) {
			return v, true
		}
	}
	return voiceEdges, false
}

// edge gives an edge of the voice graph; nil when the session has no plan, and so no
// policy for it.
func (m *Machine) edge(v voiceEdge) *flow.Edge {
	if n := m.edges.number[v]; n > 0 {
		return m.edges.board.Edge(n - 1)
	}
	if m.plans.err != nil {
		return nil
	}
	n := m.addEdge(v.ends(), v)
	m.edges.number[v] = n + 1
	return m.edges.board.Edge(n)
}

// addEdge makes an edge as the plan says.
func (m *Machine) addEdge(ends flow.Ends, v voiceEdge) int {
	policy, control, _ := m.plans.resolver.Edge(eventabi.EdgeID(ends.ID))
	spec := flow.Compile(&policy, &control)
	if v == edgeVoice { // what is with egress may be playing: only what comes can be refused
		spec.Victim, spec.Shedding = controlplane.VictimNewest, controlplane.ShedNone
	}
	ends.Key = policy.FairnessKey
	m.edges.kinds = append(m.edges.kinds, v)
	m.edges.shed = append(m.edges.shed, shedWork{})
	m.edges.lost = append(m.edges.lost, false)
	m.edges.last = append(m.edges.last, 0)
	return m.edges.board.Add(ends, &spec)
}

// further gives a declared edge by its id.
func (m *Machine) further(id eventabi.EdgeID) (n int, ok bool) {
	if n, ok = m.edges.board.Find(string(id)); ok {
		return n, m.edges.kinds[n] == voiceEdges
	}
	set := m.edges.setting(id)
	if _, ours := voiceEdgeOf(id); ours || set == nil || m.plans.err != nil {
		return 0, false
	}
	return m.addEdge(flow.Ends{ID: string(id), From: set.From, To: set.To, Side: true}, voiceEdges), true
}

// offer takes an item that a node gives to a further edge, or a metric.
func (m *Machine) offer(in *Offer) {
	kind, ok := itemKind(in.Kind)
	n, found := m.further(in.Edge)
	if e := m.edge(edgeTelemetry); kind == flow.Metric && e != nil && string(in.Edge) == edgeTelemetry.ends().ID {
		n, found = m.edges.number[edgeTelemetry]-1, true
	}
	why := ""
	switch {
	case !ok:
		why = "unknown_item_kind"
	case !found:
		why = "unknown_edge"
	case in.Bytes < 0 || in.Media < 0:
		why = "item_out_of_range"
	}
	var scope uint32
	if in.Turn != "" && why == "" {
		out := m.outputOf(in.Turn)
		if out == nil || out.cancelled {
			why = "late_after_cancel"
		} else {
			scope = out.generation
		}
	}
	if why != "" {
		m.refuse(why, in.kind(), in.Turn)
		m.fx.release(Release{Edge: in.Edge, Handle: in.Handle})
		return
	}
	lane := flow.Data
	if kind == flow.Metric {
		lane = flow.Telemetry
	}
	m.give(n, flow.Item{
		Handle: in.Handle, Kind: kind, Lane: lane, Stream: in.Stream, Group: in.Group, Scope: scope,
		Bytes: in.Bytes, Media: in.Media.Span(), From: m.edges.board.Ends(n).From, Of: in.Of,
	})
}

// give offers an item to an edge of the board. It has the sequence that it was accepted
// under, or that of the input or signal under way; where the edge was given something under
// that one before, it gets one of its own: a notice has to say exactly what was dropped.
func (m *Machine) give(n int, it flow.Item) flow.Verdict {
	if it.Seq == 0 {
		it.Seq = int64(m.identity.sequence)
	}
	if it.Seq <= m.edges.last[n] {
		m.identity.stamp()
		it.Seq = int64(m.identity.sequence)
	}
	m.edges.last[n] = it.Seq
	if m.edges.lost[n] {
		m.released(&flow.Event{Edge: n, Handle: it.Handle})
		return flow.Refused
	}
	var v flow.Verdict
	if w := m.workOn(n, &it); m.load.Sheds(w) {
		v = m.shedOffer(n, it, w)
	} else {
		v = m.edges.board.Edge(n).Offer(m.now, it, &m.edges.log)
	}
	if v == flow.Breach {
		m.tooMany(n, &it)
	}
	return v
}

// tooMany meets an item for which there is no place even to wait in. The turn can do
// without a side edge, which is cut off; on any other that is an invariant that broke.
func (m *Machine) tooMany(n int, it *flow.Item) {
	ends := m.edges.board.Ends(n)
	if !ends.Side {
		m.breach("edge_" + ends.ID)
		return
	}
	m.edges.board.Edge(n).Lose(*it, flow.Shed, &m.edges.log)
	m.cutOff(n)
}

// breach ends the session: a queue that may not fill up is full (flow section 4).
func (m *Machine) breach(what string) {
	m.runtimeFault(&RuntimeFault{Reason: what})
}

// laneOverflow meets a lane of the inbox that was full. Control is never dropped, so a full
// control lane is an invariant that broke.
func (m *Machine) laneOverflow(in *Overflow) {
	m.refuse("lane_full", string(in.Lane), "")
	if in.Lane == eventabi.ControlLane {
		m.breach("control_queue_full")
	}
}

// ready notes that a consumer can take more.
func (m *Machine) ready(in *Ready) {
	if in.To == consumerClient {
		m.edges.live = true
	}
	if in.Count <= 0 || !m.consumer(in.To) {
		m.refuse("unknown_consumer", in.kind(), "")
		return
	}
	m.edges.board.Ready(in.To, in.Count)
}

// consumer says that there is a consumer of this name.
func (m *Machine) consumer(name string) bool {
	if name == consumerClient || name == consumerObserver {
		return true
	}
	for i := range m.edges.set {
		if m.edges.set[i].To == name {
			return true
		}
	}
	return false
}

// dispatch hands over what consumers are ready for.
func (m *Machine) dispatch() {
	for {
		n, it, ok := m.edges.board.Next(m.now, &m.edges.log)
		m.report() // a notice goes ahead of the delivery behind what was dropped
		if !ok {
			return
		}
		ends := m.edges.board.Ends(n)
		m.waited(n, it.Lane, it.Waited)
		m.fx.deliver(Deliver{
			Edge: eventabi.EdgeID(ends.ID), To: ends.To, Seq: eventabi.Sequence(it.Seq), Handle: it.Handle,
			Kind: ItemKind(it.Kind.String()), Group: it.Group, From: it.From, Of: it.Of,
		})
	}
}

func itemKind(k ItemKind) (flow.Kind, bool) {
	for kind := flow.Audio; kind <= flow.Metric; kind++ {
		if kind.String() == string(k) {
			return kind, true
		}
	}
	return 0, false
}

// tell offers words to the client and to the further edges that are fed from a stream of
// the session.
func (m *Machine) tell(from string, it flow.Item) {
	it.From = from
	group := it.Group
	if m.edges.live {
		if e := m.edge(edgeClient); e != nil {
			n := m.edges.number[edgeClient] - 1
			it.Group = m.bound(n, group)
			m.give(n, it)
		}
	}
	for i := range m.edges.set {
		if m.edges.set[i].From != from {
			continue
		}
		if n, ok := m.further(m.edges.set[i].Edge); ok {
			it.Group = m.bound(n, group)
			m.give(n, it)
		}
	}
}

// bound gives the sync group of what the session itself offers to an edge: by sync_id it is
// that of its segment. By event_id each is an event of its own, and it has no extension to
// be grouped by (custom): nothing binds it.
func (m *Machine) bound(n int, segment int64) int64 {
	switch m.edges.board.Edge(n).Spec().GroupBy {
	case controlplane.GroupByEventID, controlplane.GroupByCustom:
		return 0
	case controlplane.GroupBySyncID:
	}
	return segment
}

// frameEdges keeps the books of caller audio: a frame more has come, and those who listen
// have taken what lies before the positions that came with it.
func (m *Machine) frameEdges(in *AudioIn) {
	end := in.Sample + in.Samples
	it := flow.Item{
		Seq: int64(m.identity.sequence), Kind: flow.Audio, Lane: flow.Data, Stream: 1,
		Bytes: int64(in.Samples) * bytesPerSample, Media: in.Samples.Span(), End: end,
	}
	if e := m.edge(edgeVAD); e != nil {
		e.Consume(m.now, 0, in.Heard, &m.edges.log)
		e.Offer(m.now, it, &m.edges.log)
	}
	if u := m.open(); u == nil {
		m.stoppedListening(in.Sample)
		return
	}
	if e := m.edge(edgeSTT); e != nil {
		e.Consume(m.now, 0, in.Listened, &m.edges.log)
		e.Offer(m.now, it, &m.edges.log)
	}
}

// stoppedListening takes from the recogniser's edge what lies there still when no utterance
// is open: the recogniser has what it was to have, and nobody waits for the rest.
func (m *Machine) stoppedListening(through timebase.Samples) {
	n := m.edges.number[edgeSTT]
	if n == 0 {
		return
	}
	if e := m.edges.board.Edge(n - 1); !e.Idle() {
		e.Consume(m.now, 0, through, &m.edges.log)
	}
}

// settleClocks stops and starts the clocks of the edges behind which the listener waits,
// or does not (see package flow).
func (m *Machine) settleClocks() {
	stand := func(v voiceEdge, stands bool) {
		n := m.edges.number[v]
		if n == 0 {
			return
		}
		if e := m.edges.board.Edge(n - 1); stands {
			e.Pause(m.now)
		} else {
			e.Run(m.now)
		}
	}
	stand(edgeVoice, m.holds != 0)
	out := m.turn.output
	stand(edgeReply, m.holds != 0 || out == nil || out.ahead() > 0 || out.reply.Current() != nil)
}

// bytesPerSample is what a sample takes: signed 16 bit (flow section 6).
const bytesPerSample = 2

// edgesDue is when time alone changes something at an edge.
func (m *Machine) edgesDue() timebase.Instant { return m.edges.board.Due() }
