// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/child"
	"github.com/parley-voice/parley/node/external/protocol"
)

// echo answers with what it was given; it panics and waits when it is told to.
type echo struct{ node.NoOp }

func (*echo) Declaration() node.Declaration {
	return node.Declaration{
		Type: "echo", Package: "tests", Version: "1.0.0", Inputs: []node.Type{node.TypeSegment}, Outputs: []node.Type{node.TypeSegment},
		Streaming: node.StreamIncremental, Scope: node.ScopeTurn, Class: node.Cooperative,
	}
}

func (*echo) OnEvent(ctx *node.Context, ev *node.Event) error {
	switch ev.Text {
	case "panic":
		panic("told to")
	case "wait":
		<-ctx.Cancel.Done()
	case "later":
		out, done := *ev, ctx.Later()
		go func() {
			ctx.Emit(&out)
			done()
			done() // once is enough
		}()
		return nil
	case "never":
		ctx.Later()
		return nil
	}
	ctx.Emit(ev)
	return nil
}

// wire is the host's end, by hand.
type wire struct {
	t      *testing.T
	conn   net.Conn
	reader *protocol.Reader
	over   chan error
}

func serve(t *testing.T) *wire {
	t.Helper()
	ours, theirs := net.Pipe()
	w := &wire{t: t, conn: ours, reader: protocol.NewReader(ours), over: make(chan error, 1)}
	if err := ours.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	go func() {
		w.over <- child.Serve(theirs, node.KindFunc(func(json.RawMessage) (node.Node, error) { return &echo{}, nil }), child.Options{Credits: 3})
	}()
	return w
}

// says waits for the next frame and gives it as the message that it is, or stands for.
func (w *wire) says() *protocol.Message {
	w.t.Helper()
	kind, body, err := w.reader.Next()
	if err != nil {
		w.t.Fatal(err)
	}
	if kind == protocol.KindDone {
		d, err := protocol.ParseDone(body)
		if err != nil {
			w.t.Fatal(err)
		}
		return &protocol.Message{Type: protocol.TypeDone, Instance: d.Instance, Seq: d.Sequence}
	}
	m, err := protocol.ParseMessage(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// wants waits for messages of these types, in this order, and gives the last.
func (w *wire) wants(types ...string) (m *protocol.Message) {
	w.t.Helper()
	for _, want := range types {
		if m = w.says(); m.Type != want {
			w.t.Fatalf("it says %+v, want %s", m, want)
		}
	}
	return m
}

func (w *wire) send(m *protocol.Message) {
	w.t.Helper()
	b, err := protocol.AppendMessage(nil, m)
	if err == nil {
		_, err = w.conn.Write(b)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) welcome() {
	w.t.Helper()
	w.wants(protocol.TypeHello)
	w.send(&protocol.Message{Type: protocol.TypeWelcome, Protocol: json.RawMessage("1"), Grease: "skip me"})
	if _, err := w.conn.Write(protocol.AppendFrame(nil, protocol.KindGrease, []byte("?"))); err != nil {
		w.t.Fatal(err)
	}
	w.send(&protocol.Message{Type: "grease-x"})
}

func (w *wire) event(instance uint32, seq uint64, text string) {
	w.t.Helper()
	w.send(&protocol.Message{Type: protocol.TypeEvent, Instance: instance, Seq: seq, Event: &protocol.Event{
		Kind: eventabi.KindText, Type: node.TypeSegment, Class: eventabi.ClassTextRaw, Text: text,
	}})
}

// A conversation as the document has it: what is not known is skipped, what is asked of an instance
// that there is not is answered, a panic is its instance's own.
func TestConversation(t *testing.T) {
	w := serve(t)
	w.welcome()
	w.send(&protocol.Message{Type: protocol.TypePing, Nonce: 9})
	if m := w.wants(protocol.TypePong); m.Nonce != 9 {
		t.Errorf("%+v", m)
	}
	w.send(&protocol.Message{Type: protocol.TypeStop, Instance: 5})
	if m := w.wants(protocol.TypeStopped); m.Instance != 5 {
		t.Errorf("%+v", m)
	}
	for n := range uint32(2) {
		w.send(&protocol.Message{Type: protocol.TypeOpen, Instance: n + 1, Turn: "t"})
		if m := w.wants(protocol.TypeOpened); m.Instance != n+1 || m.Credits != 3 {
			t.Errorf("%+v", m)
		}
	}
	w.event(1, 1, "panic")
	if m := w.wants(protocol.TypeDone); m.Error == nil || !strings.Contains(m.Error.Message, "told to") {
		t.Errorf("%+v", m)
	}
	w.event(1, 2, "more")
	if m := w.wants(protocol.TypeDone); m.Seq != 2 || m.Error != nil {
		t.Errorf("a node that has failed is given %+v", m)
	}
	w.event(2, 1, "hello")
	w.wants(protocol.TypeEmit, protocol.TypeDone)
	w.send(&protocol.Message{Type: protocol.TypeStop, Instance: 1})
	w.wants(protocol.TypeStopped)
	w.send(&protocol.Message{Type: protocol.TypeShutdown})
	if m := w.wants(protocol.TypeStopped); m.Instance != 2 {
		t.Errorf("%+v", m)
	}
	if err := <-w.over; err != nil {
		t.Error(err)
	}
}

// A barge-in gives back what waits, frees the event in hand, and is answered before the cancel comes.
func TestBargeIn(t *testing.T) {
	w := serve(t)
	w.welcome()
	w.send(&protocol.Message{Type: protocol.TypeOpen, Instance: 1, Turn: "t"})
	w.wants(protocol.TypeOpened)
	w.event(1, 1, "wait")
	w.event(1, 2, "queued")
	w.send(&protocol.Message{Type: protocol.TypeBargeIn, Instance: 1})
	seen := map[uint64]bool{}
	for {
		m := w.says()
		if m.Type == protocol.TypeBargedIn {
			break
		}
		if m.Type != protocol.TypeDone {
			t.Fatalf("it says %+v", m)
		}
		seen[m.Seq] = true
	}
	if len(seen) != 2 {
		t.Errorf("done: %v", seen)
	}
	w.send(&protocol.Message{Type: protocol.TypeCancel, Instance: 1, Scope: eventabi.CancelTurn, Reason: "barge_in"})
	w.wants(protocol.TypeCancelled)
	if err := w.conn.Close(); err != nil {
		t.Error(err)
	}
	if err := <-w.over; err != nil {
		t.Error(err)
	}
}

// An event that is answered later is done then, and not before; the next one waits for it. One
// that never is done ends with its turn.
func TestLater(t *testing.T) {
	w := serve(t)
	w.welcome()
	w.send(&protocol.Message{Type: protocol.TypeOpen, Instance: 1, Turn: "t"})
	w.wants(protocol.TypeOpened)
	for seq := range uint64(3) {
		w.event(1, seq+1, "later")
	}
	for seq := range uint64(3) {
		if m := w.wants(protocol.TypeEmit); m.Seq != seq+1 {
			t.Errorf("%+v", m)
		}
		if m := w.wants(protocol.TypeDone); m.Seq != seq+1 {
			t.Errorf("%+v", m)
		}
	}
	w.event(1, 4, "never")
	w.send(&protocol.Message{Type: protocol.TypePing, Nonce: 1})
	w.wants(protocol.TypePong) // and no done before
	w.send(&protocol.Message{Type: protocol.TypeBargeIn, Instance: 1})
	if m := w.wants(protocol.TypeDone); m.Seq != 4 {
		t.Errorf("%+v", m)
	}
	w.wants(protocol.TypeBargedIn)
	if err := w.conn.Close(); err != nil {
		t.Error(err)
	}
	if err := <-w.over; err != nil {
		t.Error(err)
	}
}

// A host that refuses, that breaks the protocol, or speaks another version, ends the child with the reason.
func TestHostSaysNo(t *testing.T) {
	for want, m := range map[string]*protocol.Message{
		"declaration_false: no": {Type: protocol.TypeRefuse, Code: protocol.CodeDeclarationFalse, Message: "no"},
		"welcome.protocol: 7":   {Type: protocol.TypeWelcome, Protocol: json.RawMessage("7")},
	} {
		w := serve(t)
		w.wants(protocol.TypeHello)
		w.send(m)
		if err := <-w.over; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	w := serve(t)
	w.welcome()
	if _, err := w.conn.Write([]byte{0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	violation := (*protocol.Violation)(nil)
	if err := <-w.over; !errors.As(err, &violation) {
		t.Errorf("%v", err)
	}
}
