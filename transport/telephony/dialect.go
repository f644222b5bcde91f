// SPDX-License-Identifier: Apache-2.0

package telephony

import "strings"

// Dialect is what a provider speaks.
type Dialect string

// The dialects.
const (
	Twilio Dialect = "twilio"
	Telnyx Dialect = "telnyx"
	Plivo  Dialect = "plivo"
	Exotel Dialect = "exotel"
)

// dialect is one row of the table: all that the providers differ in.
type dialect struct {
	name Dialect
	// field names the stream in what is sent.
	field string
	// play, mark and clear are the events that are sent.
	play, mark, clear string
	// played is the event by which a mark comes back; cleared is the one that says that
	// the buffer was cleared, empty when there is none.
	played, cleared string
	// flat has the name of a mark beside its event, and not in an object of its own.
	flat bool
	// typed has a media message name its encoding and rate.
	typed bool
	// least is how many bytes of sound a message holds while more is to come, and unit what
	// their number is a multiple of; 0 = a frame, as it comes.
	least, unit int
	// apart is how many messages a chunk may come behind its place.
	apart int
	// format is that of a start message that names none.
	format Format
	// linear is the byte order of what is called L16, and what the encoding "base64" means,
	// which names the packing and not the sound.
	linear Encoding
}

// dialects is the table. Where each row is from is told in docs/telephony.md.
func dialects() []dialect {
	return []dialect{
		{
			name: Twilio, field: "streamSid", play: "media", mark: "mark", clear: "clear", played: "mark",
			format: Format{Mulaw, 8000}, linear: Linear16,
		},
		{
			// The order of media is not guaranteed; chunk tells it. L16 is that of RTP.
			name: Telnyx, field: "stream_id", play: "media", mark: "mark", clear: "clear", played: "mark",
			apart: 5, format: Format{Mulaw, 8000}, linear: Linear16BE,
		},
		{
			name: Plivo, field: "streamId", play: "playAudio", mark: "checkpoint", clear: "clearAudio",
			played: "playedStream", cleared: "clearedAudio", flat: true, typed: true, format: Format{Mulaw, 8000}, linear: Linear16,
		},
		{
			// Less than 3200 bytes in a message breaks up on the way to the caller.
			name: Exotel, field: "stream_sid", play: "media", mark: "mark", clear: "clear", played: "mark",
			least: 3200, unit: 320, format: Format{Linear16, 8000}, linear: Linear16,
		},
	}
}

// dialectOf finds a row.
func dialectOf(name Dialect) (dialect, bool) {
	for _, d := range dialects() {
		if d.name == name {
			return d, true
		}
	}
	return dialect{}, false
}

func dialectNames() string {
	var names []string
	for _, d := range dialects() {
		names = append(names, string(d.name))
	}
	return strings.Join(names, ", ")
}
