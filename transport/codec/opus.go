// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"errors"
	"fmt"

	"github.com/pion/opus"

	"github.com/parley-voice/parley/transport"
)

// OpusFactory makes Opus encoders. It is handed to the adapters that need one, since what
// encodes is an engine that may be missing.
type OpusFactory interface {
	NewEncoder() (Encoder, error)
}

const (
	// maxPacket bounds a packet of Opus, bytes: of 120 ms, as RFC 6716 has them at most, in
	// stereo at the highest rate.
	maxPacket = 6 * 2 * 1275
	// maxPacketSamples is the longest packet.
	maxPacketSamples = transport.SampleRate * 120 / 1000
)

// OpusDecoder decodes packets of Opus (RFC 6716): of all modes, mono or stereo, 2.5 to
// 120 ms. It implements Decoder. What was lost is not its matter; see package jitter.
type OpusDecoder struct {
	decoder opus.Decoder
	pcm     []int16
}

// NewOpusDecoder makes a decoder.
func NewOpusDecoder() (*OpusDecoder, error) {
	d, err := opus.NewDecoderWithOutput(transport.SampleRate, 1)
	if err != nil {
		return nil, fmt.Errorf("codec: opus: making a decoder: %w", err)
	}
	return &OpusDecoder{decoder: d, pcm: make([]int16, maxPacketSamples)}, nil
}

// Decode appends the samples of one packet to dst.
func (d *OpusDecoder) Decode(dst []int16, packet []byte) (out []int16, err error) {
	if len(packet) == 0 || len(packet) > maxPacket {
		return dst, fmt.Errorf("codec: opus: a packet of %d bytes: send 1 to %d", len(packet), maxPacket)
	}
	// The packet is a stranger's, and the library is young: what it trips over costs the
	// packet and not the process.
	defer func() {
		if v := recover(); v != nil {
			d.Reset()
			out, err = dst, fmt.Errorf("codec: opus: a packet of %d bytes that cannot be decoded: %v: send packets as RFC 6716 has them", len(packet), v)
		}
	}()
	n, err := d.decoder.DecodeToInt16(packet, d.pcm)
	if err == nil && (n < 0 || n > len(d.pcm)) {
		err = errors.New("longer than 120 ms")
	}
	if err != nil {
		return dst, fmt.Errorf("codec: opus: a packet of %d bytes that cannot be decoded: %w: send packets as RFC 6716 has them", len(packet), err)
	}
	return append(dst, d.pcm[:n]...), nil
}

// Reset begins a new stream.
func (d *OpusDecoder) Reset() {
	_ = d.decoder.Init(transport.SampleRate, 1) // fails for other rates only
}
