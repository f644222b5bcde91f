// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/child"
	"github.com/parley-voice/parley/node/external/protocol"
)

// Declaration is what all of them say of themselves: a node of the session that hears the caller.
func Declaration() node.Declaration {
	return node.Declaration{
		Type: "hostile", Package: "hostile", Version: "1.0.0", Inputs: []node.Type{node.TypeAudioChunk, node.TypeSegment},
		Outputs: []node.Type{node.TypeAudioChunk, node.TypeSegment}, Streaming: node.StreamIncremental, Scope: node.ScopeSession, Class: node.Preemptible,
	}
}

// Config is the config of a kind external that runs an act: by command and arguments, to which
// the act's name is added. Limits are tight, so that it is soon over.
func Config(act, command string, args ...string) json.RawMessage {
	b, err := json.Marshal(map[string]any{
		"command": command, "args": append(append([]string(nil), args...), act), "declaration": protocol.Declare(Declaration()),
		"limits": map[string]any{"time_ms": 400, "cpu_units": 300, "memory_mb": 96, "tasks": 32, "output_bytes_per_s": 1 << 20},
	})
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

// nodeOf is a node that is polite for a while and then acts.
type nodeOf struct {
	node.NoOp
	act    Act
	raw    *rawConn
	after  int
	events int
	held   [][]byte
}

// After is how many events a node is polite for, a fifth of a second of audio.
const After = 10

func (*nodeOf) Declaration() node.Declaration { return Declaration() }

func (n *nodeOf) OnEvent(ctx *node.Context, ev *node.Event) error {
	if n.events++; n.events == n.after && n.act.do != nil {
		return n.act.do(n, ctx)
	}
	if ev.Type == node.TypeAudioChunk && n.act.Name == Polite {
		ctx.Emit(ev)
	}
	if ev.Type == node.TypeSegment {
		ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeSegment, Class: eventabi.ClassTextRaw, Text: ev.Text})
	}
	return nil
}

// rawConn is the connection, for those who write beside the protocol. It can go deaf, and begin to
// drip after the next frame.
type rawConn struct {
	net.Conn
	deaf, drips, dripping atomic.Bool
}

func (c *rawConn) Write(b []byte) (int, error) {
	if c.dripping.Load() {
		return len(b), nil
	}
	n, err := c.Conn.Write(b)
	if c.drips.Swap(false) {
		c.dripping.Store(true)
		go drip(c.Conn)
	}
	return n, err
}

func (c *rawConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.deaf.Load() {
		time.Sleep(Life)
	}
	return n, err
}

// Run is the program of an act.
func Run(act string) error {
	if act == sleeper {
		time.Sleep(Life)
		return nil
	}
	a, known := find(act)
	if !known && act != Polite {
		return fmt.Errorf("hostile: %q is no act; use one of %q", act, append(Names(), Polite))
	}
	if !known {
		a.Name = Polite
	}
	fd, err := strconv.Atoi(os.Getenv(protocol.EnvFD))
	if err != nil {
		return fmt.Errorf("hostile: %s: %w: Parley starts this program", protocol.EnvFD, err)
	}
	file := os.NewFile(uintptr(fd), "host")
	conn, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		return err
	}
	raw := &rawConn{Conn: conn}
	return child.Serve(raw, node.KindFunc(func(json.RawMessage) (node.Node, error) {
		return &nodeOf{act: a, raw: raw, after: After}, nil
	}), child.Options{})
}
