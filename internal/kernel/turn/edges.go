// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// The edges of the voice graph.
const (
	EdgeTransportVAD eventabi.EdgeID = "transport-vad" // caller audio to the endpointer
	EdgeTransportSTT eventabi.EdgeID = "transport-stt" // caller audio to the recogniser
	EdgeSTTLLM       eventabi.EdgeID = "stt-llm"       // transcripts to the turn
	EdgeLLMTTS       eventabi.EdgeID = "llm-tts"       // segments to the synthesiser
	EdgeTTSTransport eventabi.EdgeID = "tts-transport" // audio to egress
	EdgeTextClient   eventabi.EdgeID = "text-client"   // captions to the client
	EdgeTelemetry    eventabi.EdgeID = "telemetry"     // metrics to their observers
)

// VoiceEdge is one edge of the voice graph.
type VoiceEdge struct {
	ID eventabi.EdgeID
	// From and To are the ends: nodes of the graph, or a party outside it.
	From, To eventabi.NodeID
	// Profile is what the profile gives an edge that carries what this one carries, and
	// Policy what the voice graph made of it. Where they differ, the value's layer is
	// pipeline_spec.
	Profile, Policy controlplane.EdgeBufferPolicy
}

// The values of simple/v1 that hold for a data edge whatever it carries (turn-plan section 6).
const (
	ProfileBlockMS        = 20
	ProfileTelemetryItems = 512
	ProfileControlItems   = 256
)

// CallerRingBytes is what the shell keeps of a caller's audio: 4.1 s of 16 bit at 16 kHz.
// An edge that carries it and holds more has lost it, whatever its bounds say.
const CallerRingBytes = 1 << 17

// Bounds are the four independent bounds of an edge (flow section 1).
type Bounds struct {
	Items, MS, Bytes, LatencyMS int64
}

// Tuning names a set of bounds for edges that carry caller audio (F-054).
type Tuning string

// The tunings.
const (
	LatencyFirst  Tuning = "latency_first"
	AccuracyFirst Tuning = "accuracy_first"
)

// Tunings lists the tunings.
func Tunings() []Tuning { return []Tuning{LatencyFirst, AccuracyFirst} }

// Bounds are those of a tuning; without one, and for latency_first, they are those of the
// profile: what has waited for longer than a word is of no use to who wants to react.
// accuracy_first holds what the ring of caller audio holds, 4.1 s in 20 ms frames: a
// recogniser that stalls for seconds still hears every sample, and is behind by that much.
func (t Tuning) Bounds() Bounds {
	if t == AccuracyFirst {
		return Bounds{Items: 256, MS: 4000, Bytes: CallerRingBytes, LatencyMS: 4000}
	}
	return Bounds{Items: 64, MS: 200, Bytes: 262144, LatencyMS: 100}
}

// TunedEdges lists the edges of the voice graph whose bounds a tuning sets.
func TunedEdges() []eventabi.EdgeID { return []eventabi.EdgeID{EdgeTransportSTT, EdgeTransportVAD} }

// Marks are the watermarks that go with a bound of the profile: pressure from three
// quarters of it until one quarter. A bound of 1 leaves only 1 and 0.
func Marks(bound int64) controlplane.Watermark {
	high := max(1, bound/4*3+bound%4*3/4)
	return controlplane.Watermark{High: high, Low: high / 3}
}

// Apply gives a policy these bounds, with the watermarks that go with them.
func (b Bounds) Apply(p *controlplane.EdgeBufferPolicy) {
	p.MaxQueueItems, p.MaxQueueMS, p.MaxQueueBytes, p.MaxLatencyContributionMS = b.Items, b.MS, b.Bytes, b.LatencyMS
	marks := &[...]controlplane.Watermark{Marks(b.Items), Marks(b.MS)}
	p.Watermarks = controlplane.EdgeWatermarks{QueueItems: &marks[0], QueueMS: &marks[1]}
}

// ProfileEdge is the profile's policy of a data edge (turn-plan section 6); which of the
// strategies is the profile's depends on what the edge carries: audio merges, of interim
// text the latest survives, final text blocks.
func ProfileEdge(s controlplane.BufferStrategy) controlplane.EdgeBufferPolicy {
	p := controlplane.EdgeBufferPolicy{
		Strategy: s,
		LaneHandling: controlplane.LaneHandling{
			ControlLane:   controlplane.TreatPriority,
			DataLane:      controlplane.LaneTreatment(s),
			TelemetryLane: controlplane.TreatSample,
		},
		DefaultingSource: controlplane.DefaultedFromProfile,
	}
	Tuning("").Bounds().Apply(&p)
	switch s {
	case controlplane.StrategyBlock:
		p.MaxBlockTimeMS = ProfileBlockMS
	case controlplane.StrategyDrop:
		p.DropVictim = controlplane.VictimOldest
	case controlplane.StrategySample:
		p.SampleEvery = controlplane.DefaultSampleEvery
	case controlplane.StrategyMerge, controlplane.StrategyLatestOnly:
	}
	return p
}

// ProfileTelemetryEdge is the profile's policy of an edge that carries telemetry alone.
func ProfileTelemetryEdge() controlplane.EdgeBufferPolicy {
	p := ProfileEdge(controlplane.StrategySample)
	b := Tuning("").Bounds()
	b.Items = ProfileTelemetryItems
	b.Apply(&p)
	p.LaneHandling = controlplane.LaneHandling{TelemetryLane: controlplane.TreatSample}
	return p
}

// VoiceGraph lists the edges of the voice graph, sorted by id.
func VoiceGraph() []VoiceEdge {
	ids := voiceIDs()
	graph := make([]VoiceEdge, len(ids))
	for i, id := range ids {
		graph[i] = voiceEdge(id)
	}
	return graph
}

// voiceIDs lists the ids of the voice graph's edges, sorted.
func voiceIDs() [7]eventabi.EdgeID {
	return [...]eventabi.EdgeID{
		EdgeLLMTTS, EdgeSTTLLM, EdgeTelemetry, EdgeTextClient, EdgeTransportSTT, EdgeTransportVAD, EdgeTTSTransport,
	}
}

// voiceEdge is an edge of the voice graph by its id; without an id when there is none.
func voiceEdge(id eventabi.EdgeID) VoiceEdge {
	plain := func(from, to eventabi.NodeID, p controlplane.EdgeBufferPolicy) VoiceEdge {
		return VoiceEdge{ID: id, From: from, To: to, Profile: p, Policy: p}
	}
	bounded := func(from, to eventabi.NodeID, s controlplane.BufferStrategy, b Bounds) VoiceEdge {
		e := plain(from, to, ProfileEdge(s))
		b.Apply(&e.Policy)
		e.Policy.DefaultingSource = controlplane.DefaultedExplicit
		return e
	}
	switch id {
	case EdgeLLMTTS:
		// A reply is written faster than it is spoken: what waits for the synthesiser is a whole
		// reply, and its time is that of the listening.
		return bounded("segmenter", "tts", controlplane.StrategyBlock, Bounds{Items: 512, MS: 60_000, Bytes: 262144, LatencyMS: 60_000})
	case EdgeSTTLLM:
		return plain("stt", "llm", ProfileEdge(controlplane.StrategyLatestOnly))
	case EdgeTelemetry:
		return plain("nodes", "observer", ProfileTelemetryEdge())
	case EdgeTextClient:
		// A caption may lag behind the sound by two seconds and still be read.
		captions := Tuning("").Bounds()
		captions.MS, captions.LatencyMS = 2000, 2000
		return bounded("session", "client", controlplane.StrategyLatestOnly, captions)
	case EdgeTransportSTT:
		return bounded("transport", "stt", controlplane.StrategyMerge, AccuracyFirst.Bounds())
	case EdgeTransportVAD:
		// The detector catches up on a second of audio in the time of a frame, and what it missed
		// it cannot catch up on: it is given time before anything is dropped.
		detector := Tuning("").Bounds()
		detector.MS, detector.LatencyMS = 1000, 1000
		return bounded("transport", "endpointer", controlplane.StrategyMerge, detector)
	case EdgeTTSTransport:
		// Audio is made faster than it is played. It is not merged, for it is still to be heard;
		// between half a minute and 20 s ahead of the listener the synthesiser is held.
		speech := bounded("tts", "transport", controlplane.StrategyMerge, Bounds{Items: 1024, MS: 120_000, Bytes: 4 << 20, LatencyMS: 120_000})
		speech.Policy.Strategy = controlplane.StrategyBlock
		speech.Policy.LaneHandling.DataLane = controlplane.TreatBlock
		speech.Policy.MaxBlockTimeMS = ProfileBlockMS
		speech.Policy.Watermarks.QueueMS = &controlplane.Watermark{High: 30_000, Low: 20_000}
		return speech
	}
	return VoiceEdge{}
}
