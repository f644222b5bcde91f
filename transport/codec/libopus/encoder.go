// SPDX-License-Identifier: Apache-2.0

package libopus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/parley-voice/parley/transport"
)

// maxPacket is the longest packet of one frame, bytes (RFC 6716 section 3.2.1).
const maxPacket = 1275

// errClosed says that the encoder or its library was closed.
var errClosed = errors.New("libopus: closed")

// encoder is one stream. A method that fails leaves it without an instance; the next frame
// starts another.
type encoder struct {
	library *Library
	module  api.Module // nil = none
	frame   api.Function
	samples uint32    // address
	packet  uint32    // address
	stack   [1]uint64 // of calls: a slice of it costs no memory
	closed  bool
}

// start makes an instance.
func (e *encoder) start() error {
	if e.closed || e.library.closed.Load() {
		return errClosed
	}
	ctx, l := context.Background(), e.library
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize")
	module, err := l.runtime.InstantiateModule(ctx, l.module, config)
	if err != nil {
		return fmt.Errorf("libopus: starting %s: %w", l.config.Engine, err)
	}
	e.module = module
	if err := e.prepare(ctx); err != nil {
		e.drop()
		return fmt.Errorf("libopus: %s is no engine of this version of Parley: %w: %s", l.config.Engine, err, remedy)
	}
	return nil
}

func (e *encoder) prepare(ctx context.Context) error {
	c := e.library.config
	version, err := e.call(ctx, "parley_abi")
	if err == nil && version != abiVersion {
		err = fmt.Errorf("its interface has version %d and this Parley speaks %d", version, abiVersion)
	}
	if err != nil {
		return err
	}
	fault, err := e.call(ctx, "opus_open", uint64(c.Bitrate), uint64(c.Effort), uint64(c.Loss))
	if err == nil && fault != 0 {
		err = fmt.Errorf("opus_open gives the error %d", fault)
	}
	if err != nil {
		return err
	}
	samples, err := e.call(ctx, "opus_samples")
	if err != nil {
		return err
	}
	packet, err := e.call(ctx, "opus_packet")
	if err != nil {
		return err
	}
	e.samples, e.packet = uint32(samples), uint32(packet)
	if e.frame = e.module.ExportedFunction("opus_frame"); e.frame == nil {
		return errors.New("it has no function opus_frame")
	}
	return nil
}

// call calls an exported function that returns a number.
func (e *encoder) call(ctx context.Context, name string, arguments ...uint64) (int32, error) {
	f := e.module.ExportedFunction(name)
	if f == nil {
		return 0, fmt.Errorf("it has no function %s", name)
	}
	result, err := f.Call(ctx, arguments...)
	if err != nil {
		return 0, fmt.Errorf("%s failed: %s", name, firstLine(err))
	}
	if len(result) != 1 {
		return 0, fmt.Errorf("%s returns %d numbers", name, len(result))
	}
	return api.DecodeI32(result[0]), nil
}

// firstLine leaves out the stack of the module.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// Encode appends the packet of one frame of 20 ms to dst.
func (e *encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if len(pcm) != transport.FrameSamples {
		return dst, fmt.Errorf("libopus: pcm: %d samples: give a frame of %d", len(pcm), transport.FrameSamples)
	}
	if e.module == nil {
		if err := e.start(); err != nil {
			return dst, err
		}
	}
	packet, err := e.encode(pcm)
	if err != nil {
		e.drop()
		return dst, err
	}
	return append(dst, packet...), nil
}

func (e *encoder) encode(pcm []int16) ([]byte, error) {
	if e.library.closed.Load() {
		return nil, errClosed
	}
	memory := e.module.Memory()
	in, ok := memory.Read(e.samples, 2*transport.FrameSamples)
	if !ok {
		return nil, fmt.Errorf("libopus: the engine has its samples at %d, outside of its memory", e.samples)
	}
	for i, v := range pcm {
		binary.LittleEndian.PutUint16(in[2*i:], uint16(v))
	}
	if err := e.frame.CallWithStack(context.Background(), e.stack[:]); err != nil {
		return nil, fmt.Errorf("libopus: the engine failed: %s", firstLine(err))
	}
	n := api.DecodeI32(e.stack[0])
	if n <= 0 || n > maxPacket {
		return nil, fmt.Errorf("libopus: the engine gives %d for a packet", n)
	}
	out, ok := memory.Read(e.packet, uint32(n))
	if !ok {
		return nil, fmt.Errorf("libopus: the engine has its packet at %d, outside of its memory", e.packet)
	}
	return out, nil
}

// Reset begins a new stream.
func (e *encoder) Reset() {
	if e.module == nil {
		return
	}
	if fault, err := e.call(context.Background(), "opus_reset"); err != nil || fault != 0 {
		e.drop()
	}
}

// drop throws the instance away.
func (e *encoder) drop() {
	if e.module != nil {
		_ = e.module.Close(context.Background()) // an exit code that nobody asked for
		e.module = nil
	}
}

// Close frees the instance.
func (e *encoder) Close() {
	if e.closed {
		return
	}
	e.closed = true
	e.drop()
	e.library.open.Add(-1)
}
