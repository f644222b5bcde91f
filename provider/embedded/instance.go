// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// maxString bounds a string that an engine hands out, bytes. A minute of speech is
// about 1 KB of text.
const maxString = 64 << 10

// maxMessage bounds what is kept of an engine's own message, bytes.
const maxMessage = 400

// instance is one running copy of an engine, with a memory of its own.
type instance struct {
	engine   *engine
	module   api.Module
	memory   api.Memory
	messages *lastLine
}

// call calls an exported function that returns at most one number of 32 bit. An error
// means that the instance is beyond use.
func (i *instance) call(ctx context.Context, name string, arguments ...uint64) (int32, error) {
	f, err := i.function(name)
	if err != nil {
		return 0, err
	}
	result, err := f.Call(ctx, arguments...)
	if err != nil {
		return 0, i.fault(name, err)
	}
	if len(result) == 0 {
		return 0, nil
	}
	return api.DecodeI32(result[0]), nil
}

// fault describes a trap or an exit in a line, with what the engine said of it.
func (i *instance) fault(name string, err error) error {
	cause, _, _ := strings.Cut(err.Error(), "\n") // the stack of the module follows
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		// Its own text takes exit(-1) for the end of a context.
		cause = fmt.Sprintf("the engine gave up with exit code %d", int32(exit.ExitCode()))
	}
	if said := i.messages.String(); said != "" {
		return fmt.Errorf("%s failed: %s (%s)", name, cause, said)
	}
	return fmt.Errorf("%s failed: %s", name, cause)
}

// allocate reserves size bytes in the instance's memory.
func (i *instance) allocate(ctx context.Context, size uint32) (uint32, error) {
	p, err := i.call(ctx, "parley_alloc", uint64(size))
	if err != nil {
		return 0, err
	}
	if _, ok := i.memory.Read(uint32(p), size); p == 0 || !ok {
		return 0, fmt.Errorf("no room for %d bytes", size)
	}
	return uint32(p), nil
}

func (i *instance) free(ctx context.Context, p uint32) error {
	_, err := i.call(ctx, "parley_free", uint64(p))
	return err
}

// writeString puts s and a zero byte into newly reserved memory, for the caller to free.
func (i *instance) writeString(ctx context.Context, s string) (uint32, error) {
	if strings.ContainsRune(s, 0) {
		return 0, errors.New("a string with a zero byte cannot be handed to the engine")
	}
	p, err := i.allocate(ctx, uint32(len(s))+1)
	if err != nil {
		return 0, err
	}
	if !i.memory.WriteString(p, s) || !i.memory.WriteByte(p+uint32(len(s)), 0) {
		return 0, fmt.Errorf("no room for a string of %d bytes", len(s))
	}
	return p, nil
}

// readString copies the string at p, which ends with a zero byte.
func (i *instance) readString(p uint32) (string, error) {
	size := i.memory.Size()
	if p >= size {
		return "", fmt.Errorf("a string at %d, in a memory of %d bytes", p, size)
	}
	view, ok := i.memory.Read(p, min(maxString, size-p))
	if !ok {
		return "", fmt.Errorf("a string at %d cannot be read", p)
	}
	end := bytes.IndexByte(view, 0)
	if end < 0 {
		return "", fmt.Errorf("a string at %d has no end within %d bytes", p, len(view))
	}
	return string(view[:end]), nil
}

// writeSamples writes PCM at p, where there is room for it.
func (i *instance) writeSamples(p uint32, pcm []int16) error {
	view, ok := i.memory.Read(p, uint32(2*len(pcm)))
	if !ok {
		return fmt.Errorf("no room for %d samples at %d", len(pcm), p)
	}
	for n, s := range pcm {
		binary.LittleEndian.PutUint16(view[2*n:], uint16(s))
	}
	return nil
}

// close frees the instance's memory. Nothing of it may be used any more.
func (i *instance) close(ctx context.Context) {
	// The error would be an exit code that the module gave before; there is nobody to
	// tell, and the memory is freed all the same.
	_ = i.module.Close(ctx)
}

// lastLine keeps the last line that was written, in bounds. An engine writes there from
// the goroutine that calls it.
type lastLine struct {
	line []byte
	done bool // the line has ended: the next write starts another
}

func (l *lastLine) Write(p []byte) (int, error) {
	for _, c := range p {
		if l.done {
			l.line, l.done = l.line[:0], false
		}
		switch {
		case c == '\n':
			l.done = true
		case len(l.line) < maxMessage:
			l.line = append(l.line, c)
		}
	}
	return len(p), nil
}

func (l *lastLine) String() string {
	return strings.ToValidUTF8(strings.TrimSpace(string(l.line)), "?")
}
