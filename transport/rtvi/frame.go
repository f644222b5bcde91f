// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// The wire format of binary messages. It is small and does not change, so it is read and
// written field by field:
//
//	package pipecat;
//	message Frame {
//	  oneof frame {
//	    TextFrame text = 1;                   // text = 3
//	    AudioRawFrame audio = 2;              // audio = 3, sample_rate = 4, num_channels = 5, pts = 6
//	    TranscriptionFrame transcription = 3; // text = 3, user_id = 4, timestamp = 5
//	    MessageFrame message = 4;             // data = 1: an RTVI message as JSON
//	    InterruptionFrame interruption = 5;
//	  }
//	}
//
// All but MessageFrame have id = 1 and name = 2 as well, which say nothing here.
const (
	frameText          protowire.Number = 1
	frameAudio         protowire.Number = 2
	frameTranscription protowire.Number = 3
	frameMessage       protowire.Number = 4
	frameInterruption  protowire.Number = 5

	fieldData     protowire.Number = 1 // of a message
	fieldContent  protowire.Number = 3 // of text, audio and transcription
	fieldRate     protowire.Number = 4 // of audio
	fieldChannels protowire.Number = 5 // of audio
)

// frame is one pipecat.Frame.
type frame struct {
	kind     protowire.Number // 0 = none that is known
	content  []byte           // its text, sound or message; shares memory with the input
	rate     uint64           // of audio, in Hz
	channels uint64           // of audio
}

// decodeFrame reads a frame. Fields that are not known are passed over; of frames that are
// there twice the last one counts.
func decodeFrame(data []byte) (f frame, err error) {
	err = fields("frame", data, func(n protowire.Number, _ uint64, body []byte) error {
		if n < frameText || n > frameInterruption {
			return nil
		}
		f = frame{kind: n}
		return f.read(body)
	})
	return f, err
}

// read takes what counts out of the frame within.
func (f *frame) read(data []byte) error {
	return fields("frame", data, func(n protowire.Number, v uint64, body []byte) error {
		switch {
		case n == fieldData && f.kind == frameMessage, n == fieldContent && f.kind <= frameTranscription:
			f.content = body
		case n == fieldRate && f.kind == frameAudio:
			f.rate = v
		case n == fieldChannels && f.kind == frameAudio:
			f.channels = v
		}
		return nil
	})
}

// fields visits the fields of a protobuf message: with v those that are a varint, with body
// those that have a length, and with neither all others.
func fields(what string, data []byte, visit func(n protowire.Number, v uint64, body []byte) error) error {
	for len(data) > 0 {
		n, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return fault(what, size)
		}
		data = data[size:]
		var v uint64
		var body []byte
		switch kind {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			body, size = protowire.ConsumeBytes(data)
		case protowire.Fixed32Type, protowire.Fixed64Type, protowire.StartGroupType, protowire.EndGroupType:
			size = protowire.ConsumeFieldValue(n, kind, data)
		default:
			return fmt.Errorf("rtvi: %s: field %d has type %d: send a pipecat.Frame", what, n, kind)
		}
		if size < 0 {
			return fault(what, size)
		}
		data = data[size:]
		if err := visit(n, v, body); err != nil {
			return err
		}
	}
	return nil
}

func fault(what string, size int) error {
	err := protowire.ParseError(size)
	if err == nil {
		err = errors.New("malformed")
	}
	return fmt.Errorf("rtvi: %s: %w: send a pipecat.Frame in the protobuf encoding", what, err)
}

// appendMessage appends a frame that holds an RTVI message.
func appendMessage(dst, message []byte) []byte {
	dst = protowire.AppendTag(dst, frameMessage, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(protowire.SizeTag(fieldData)+protowire.SizeBytes(len(message))))
	dst = protowire.AppendTag(dst, fieldData, protowire.BytesType)
	return protowire.AppendBytes(dst, message)
}

// appendAudio appends a frame of sound, one channel.
func appendAudio(dst, sound []byte, rate int) []byte {
	size := protowire.SizeTag(fieldContent) + protowire.SizeBytes(len(sound)) +
		protowire.SizeTag(fieldRate) + protowire.SizeVarint(uint64(rate)) + //nolint:gosec // of a closed set
		protowire.SizeTag(fieldChannels) + protowire.SizeVarint(1)
	dst = protowire.AppendTag(dst, frameAudio, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = protowire.AppendTag(dst, fieldContent, protowire.BytesType)
	dst = protowire.AppendBytes(dst, sound)
	dst = protowire.AppendTag(dst, fieldRate, protowire.VarintType)
	dst = protowire.AppendVarint(dst, uint64(rate)) //nolint:gosec // of a closed set
	dst = protowire.AppendTag(dst, fieldChannels, protowire.VarintType)
	return protowire.AppendVarint(dst, 1)
}

// appendInterruption appends a frame that says that what is being said is over.
func appendInterruption(dst []byte) []byte {
	dst = protowire.AppendTag(dst, frameInterruption, protowire.BytesType)
	return protowire.AppendVarint(dst, 0)
}
