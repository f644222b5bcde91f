// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// speakerRate is the sample rate of the voice slt, Hz.
const speakerRate = 16000

// speakerChunk is how much audio is delivered at a time, samples: 20 ms.
const speakerChunk = 320

// maxChunk bounds what the engine may hand out at once, samples; it gives one chunk, or
// what is left at the end of a sentence.
const maxChunk = 16 * speakerChunk

// What tts_say answers.
const (
	sayDone    = 0
	sayStopped = 1
)

// speaker is an instance of flite with its voice.
type speaker struct{ *instance }

// listener is the Go side of one tts_say. Its methods run inside the engine's call.
type listener interface {
	// audio takes the next samples, which are its own, and says whether to go on.
	audio(pcm []int16) bool
	// word says that text[offset:offset+length] is heard between two samples.
	word(offset, length int, from, until int64)
}

// listenerKey finds the listener in the context of a call.
type listenerKey struct{}

func noHost(context.Context, wazero.Runtime) error { return nil }

// speakerHost gives flite the functions that it imports.
func speakerHost(ctx context.Context, r wazero.Runtime) error {
	i32 := api.ValueTypeI32
	_, err := r.NewHostModuleBuilder("parley").
		NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(hostAudio), []api.ValueType{i32, i32}, []api.ValueType{i32}).
		Export("on_audio").
		NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(hostWord), []api.ValueType{i32, i32, i32, i32}, nil).
		Export("on_word").
		Instantiate(ctx)
	return err
}

// hostAudio is on_audio(samples, n): it answers 0 to go on. What is out of bounds stops
// the engine too; tts_say then answers that it was stopped by nobody.
func hostAudio(ctx context.Context, m api.Module, stack []uint64) {
	p, n := api.DecodeU32(stack[0]), api.DecodeI32(stack[1])
	stack[0] = 1
	to, ok := ctx.Value(listenerKey{}).(listener)
	if !ok || n < 0 || n > maxChunk {
		return
	}
	view, ok := m.Memory().Read(p, uint32(2*n))
	if !ok {
		return
	}
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(view[2*i:]))
	}
	if to.audio(pcm) {
		stack[0] = 0
	}
}

// hostWord is on_word(offset, length, from, until).
func hostWord(ctx context.Context, _ api.Module, stack []uint64) {
	if to, ok := ctx.Value(listenerKey{}).(listener); ok {
		to.word(int(api.DecodeI32(stack[0])), int(api.DecodeI32(stack[1])),
			int64(api.DecodeI32(stack[2])), int64(api.DecodeI32(stack[3])))
	}
}

func loadSpeaker(ctx context.Context, e *engine) (*speaker, error) {
	i, err := e.instance(ctx, "")
	if err != nil {
		return nil, err
	}
	// The engine hands audio out when it has more than what it is told here.
	rate, err := i.call(ctx, "tts_open", speakerChunk-1)
	if err == nil && rate != speakerRate {
		err = fmt.Errorf("it makes %d samples a second, wanted %d", rate, speakerRate)
	}
	if err != nil {
		i.close(ctx)
		return nil, fmt.Errorf("embedded: opening the voice of %s: %w: %s", e.path, err, remedy)
	}
	return &speaker{i}, nil
}

// say speaks text, stretched in time by the given factor. stopped is true when to asked
// for it.
func (s *speaker) say(ctx context.Context, text string, stretch float64, to listener) (stopped bool, err error) {
	p, err := s.writeString(ctx, text)
	if err != nil {
		return false, err
	}
	said, err := s.call(context.WithValue(ctx, listenerKey{}, to), "tts_say", uint64(p), api.EncodeF32(float32(stretch)))
	if err != nil {
		return false, err
	}
	if err := s.free(ctx, p); err != nil {
		return false, err
	}
	switch said {
	case sayDone:
		return false, nil
	case sayStopped:
		return true, nil
	}
	return false, fmt.Errorf("tts_say answered %d (%s)", said, s.messages)
}

// stretchOf is how long speech at a rate is against speech at normal speed.
func stretchOf(rate float64) float64 {
	if rate == 0 {
		return 1
	}
	return math.Min(math.Max(1/rate, 1/maxRate), 1/minRate)
}
