// SPDX-License-Identifier: Apache-2.0

package node

import "github.com/parley-voice/parley/api/eventabi"

// SampleRate is the rate of all audio inside a graph, in Hz: signed 16 bit, mono, in
// frames of FrameSamples (flow section 6).
const (
	SampleRate   = 16000
	FrameSamples = SampleRate / 50
)

// Instant is a point on the session's monotonic clock, in nanoseconds since the session
// was created.
type Instant int64

// Never is later than every instant.
const Never Instant = 1<<63 - 1

// Event is what nodes take and give: the part of the envelope that a node needs, with
// the samples or the text themselves. The runtime stamps the envelope.
type Event struct {
	Kind  eventabi.Kind
	Type  Type
	Class eventabi.PayloadClass
	At    Instant // when it was handed over
	// Invocation names the provider call that the event belongs to, where there is one.
	Invocation eventabi.InvocationID
	Index      int64 // number of a segment, a chunk or a revision within the call
	Sample     int64 // media time: position of PCM[0], or the position spoken of
	Heard      int64 // voice events: up to where the detector had heard
	PCM        []int16
	Text       string
	Final      bool // no further revision, segment or chunk follows
	Protected  bool // output that may not be interrupted
	// Attributes are what conditions of edges may ask of the event, such as language=de or
	// confidence=0.93. A node that gives an event on keeps or changes them.
	Attributes []Attribute
	// Sync says what the event belongs to that is lost together, where an edge behind the node
	// has a sync_drop_policy; nil = to nothing.
	Sync *Sync
}

// Attribute is a fact about an event. Numbers are decimal, with at most six places.
type Attribute struct {
	Name, Value string
}

// The attributes that the runtime knows.
const (
	AttributeLanguage   = "language"   // BCP 47
	AttributeConfidence = "confidence" // 0 to 1
	AttributeSentiment  = "sentiment"
	AttributeKind       = "kind" // the event's type
)

// MaxAttributes bounds the attributes of one event.
const MaxAttributes = 16

// Attribute gives the value of an attribute, empty when the event has none of that name.
func (ev *Event) Attribute(name string) string {
	for i := range ev.Attributes {
		if ev.Attributes[i].Name == name {
			return ev.Attributes[i].Value
		}
	}
	return ""
}

// Sync is what an event can be grouped by (flow section 5). Which of them counts is the
// edge's group_by; an empty one binds the event to nothing.
type Sync struct {
	ID    string           // group_by sync_id
	Event eventabi.EventID // group_by event_id: the event that it is a part of
	Group string           // group_by custom: extensions["sync.group"]
}

// Type is what an event of a kind is.
type Type string

// The event types of the built-in nodes.
const (
	TypeAudioChunk     Type = "audio_chunk"      // PCM at Sample
	TypeAudioEnd       Type = "audio_end"        // no more audio of this call
	TypeVoiceOn        Type = "voice_on"         // speech began at Sample
	TypeVoiceOff       Type = "voice_off"        // speech stopped at Sample
	TypeEndOfUtterance Type = "end_of_utterance" // the utterance ended at Sample
	TypeListen         Type = "listen"           // open a recogniser on the audio from Sample on
	TypeFinalize       Type = "finalize"         // the recogniser's utterance ends at Sample
	TypeTranscript     Type = "transcript"       // Text so far, revision Index
	TypeRespond        Type = "respond"          // answer the conversation as it stands
	TypeTextStart      Type = "text_start"       // a reply begins; what there was of another attempt is void
	TypeTextDelta      Type = "text_delta"       // new text of the reply
	TypeTextEnd        Type = "text_end"         // the reply's text is complete
	TypeSegment        Type = "segment"          // speakable piece Index of the reply
	TypeTaken          Type = "taken"            // the next stage has taken a segment
	TypeTimer          Type = "timer"            // the instant asked for has come
)
