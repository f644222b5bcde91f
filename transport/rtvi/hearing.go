// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

// hearing turns the sound of a client into the session's.
type hearing struct {
	rate    uint64
	decoder codec.Decoder
	mono    []byte
	pcm     []int16
}

// hear takes sound as the wire has it: 16 bit, little-endian, of one or two channels.
func (c *conn) hear(sound []byte, rate, channels uint64) error {
	h := &c.hearing
	if h.decoder == nil || h.rate != rate {
		const most = 1 << 20
		if rate == 0 {
			return missing("sample rate", "say how many samples a second has")
		}
		d, err := codec.Format{Codec: codec.NamePCM, Rate: int(min(rate, most))}.NewDecoder() //nolint:gosec // bounded
		if err != nil {
			return fmt.Errorf("sample rate: %w", err)
		}
		h.rate, h.decoder = rate, d
	}
	switch channels {
	case 0, 1:
	case 2:
		h.mono = mix(h.mono[:0], sound)
		sound = h.mono
	default:
		return fmt.Errorf("channels: %d: use 1 or 2", channels)
	}
	pcm, err := h.decoder.Decode(h.pcm[:0], sound)
	if err != nil {
		return fmt.Errorf("audio: %w", err)
	}
	h.pcm = pcm
	c.mu.Lock()
	back := c.muted
	c.muted = false
	c.quiet.Reset(quietAfter)
	c.mu.Unlock()
	if back {
		c.Tell(func(in transport.Ingress) { in.Muted(false) })
	}
	c.feed.Write(pcm)
	return nil
}

// silent takes a client that sends no sound any more for one whose microphone is off.
func (c *conn) silent() {
	c.mu.Lock()
	c.muted = true
	c.mu.Unlock()
	c.after(func(in transport.Ingress) {
		c.mu.Lock()
		still := c.muted
		c.mu.Unlock()
		if still {
			in.Muted(true)
		}
	})
}

// mix makes one channel of two.
func mix(dst, sound []byte) []byte {
	for ; len(sound) >= 4; sound = sound[4:] {
		left := int16(uint16(sound[0]) | uint16(sound[1])<<8)  //nolint:gosec // two's complement
		right := int16(uint16(sound[2]) | uint16(sound[3])<<8) //nolint:gosec // as above
		v := uint16(int16((int32(left) + int32(right)) / 2))   //nolint:gosec // as above
		dst = append(dst, byte(v), byte(v>>8))
	}
	return append(dst, sound...) // what is left over is a fault, which Decode finds
}

// rawAudio takes sound that comes in a message.
func (c *conn) rawAudio(e *envelope) error {
	var d struct {
		Audio    string   `json:"base64Audio"`
		Batch    []string `json:"base64AudioBatch"`
		Rate     uint64   `json:"sampleRate"`
		Channels uint64   `json:"numChannels"`
	}
	if err := e.into(&d); err != nil {
		return err
	}
	if d.Audio != "" {
		d.Batch = append(d.Batch, d.Audio)
	}
	if len(d.Batch) == 0 {
		return missing("base64Audio", "send sound")
	}
	for _, text := range d.Batch {
		sound, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return errors.New("base64Audio: is no base64: use the standard alphabet")
		}
		if err := c.hear(sound, d.Rate, d.Channels); err != nil {
			return err
		}
	}
	return nil
}
