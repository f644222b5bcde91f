// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/outbox"
)

const (
	// pause is how far the timestamp may lie behind the clock before it jumps ahead.
	pause = 3 * transport.FrameDuration
	// voiceHeader is what a message has before its payload: the timestamp, and whether it
	// begins a spurt of talk.
	voiceHeader = 5
	// mostVoice bounds the frames that wait for a wire that is slow.
	mostVoice = 10
	// packetRoom is what a packet of Opus takes, mostly.
	packetRoom = 256
)

// voice is the agent's way out: Opus, an outbox, RTP.
type voice struct {
	box *outbox.Outbox

	mu         sync.Mutex
	encoder    codec.Encoder
	over       bool
	began      time.Time
	slot       int64 // of the last frame; -1 = none
	generation uint32
	spoke      bool

	sequence uint16 // of the outbox's goroutine
}

func (v *voice) init(e codec.Encoder, r room) error {
	v.began, v.slot = time.Now(), -1
	box, err := outbox.New(outbox.Config{Audio: mostVoice, Write: func(ctx context.Context, m *outbox.Message) error {
		v.sequence++
		// A packet that did not go out is lost, as others are: the wire is the room's to mend.
		_ = r.write(ctx, &rtp.Packet{
			Header: rtp.Header{
				Version: 2, Marker: m.Data[4] != 0, SequenceNumber: v.sequence, Timestamp: binary.BigEndian.Uint32(m.Data),
			},
			Payload: m.Data[voiceHeader:],
		})
		return nil
	}})
	if err != nil {
		return err
	}
	v.box, v.encoder = box, e
	return nil
}

func (v *voice) write(f *transport.Frame) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return errOver
	}
	if !v.spoke || f.Generation != v.generation {
		v.encoder.Reset()
		v.spoke, v.generation = true, f.Generation
	}
	slot, marker := v.slot+1, v.slot < 0
	if at := int64(time.Since(v.began) / transport.FrameDuration); at-slot > int64(pause/transport.FrameDuration) {
		slot, marker = at, true
	}
	v.slot = slot
	data := binary.BigEndian.AppendUint32(v.box.Buffer(packetRoom), uint32(slot*ticks))
	data = append(data, 0)
	if marker {
		data[4] = 1
	}
	data, err := v.encoder.Encode(data, f.PCM)
	if err != nil {
		return fmt.Errorf("livekit: a frame that could not be encoded: %w", err)
	}
	if !v.box.Send(outbox.Message{Audio: true, Turn: f.Turn, Generation: f.Generation, Binary: true, Data: data}) {
		return errOver
	}
	return nil
}

func (v *voice) fence(f transport.Fence) { v.box.Fence(f) }

func (v *voice) close(ctx context.Context) error {
	v.mu.Lock()
	first := !v.over
	v.over = true
	v.mu.Unlock()
	if !first {
		return nil
	}
	err := v.box.Close(ctx)
	v.encoder.Close()
	return err
}
