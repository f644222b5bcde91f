// SPDX-License-Identifier: Apache-2.0

package external

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
	"github.com/parley-voice/parley/node/external/sandbox"
)

// process is one running child.
type process struct {
	program *program
	log     *slog.Logger
	lines   *lines
	cmd     *exec.Cmd
	pid     int
	group   *controlGroup
	conn    net.Conn
	reader  *protocol.Reader
	began   time.Time

	writing sync.Mutex
	frame   []byte
	// Since when, in nanoseconds after began, 0 = not: a write that waits, a frame that is not complete.
	writes, partial atomic.Int64
	heard           atomic.Int64 // when bytes came last
	bytes           atomic.Int64 // that count against output_bytes_per_s, in all
	asked           atomic.Bool  // its end is wanted

	mu        sync.Mutex
	instances map[uint32]*instance
	number    uint32
	why       error
	suspect   time.Duration // since when it has not answered a ping; 0 = none is out
	empty     time.Duration // since when it has no instance; 0 = it has
	shutUp    time.Duration // when it has to be gone; 0 = nobody asked it to go
	family    map[int]int64 // the process and its descendants with their starts, where they are looked for

	ended chan struct{} // closed when nothing is to be expected of it any more
	gone  chan struct{} // closed when it and its descendants are

	memory, cpu, tasks atomic.Int64 // as sampled last: bytes, thousandths of a core, threads

	audio protocol.Audio // of the reader
	event node.Event
	names map[string]bool // of the child's telemetry
}

// spawn starts a process and shakes hands with it.
func (g *program) spawn() (*process, error) {
	select {
	case <-g.over:
		return nil, g.fault(protocol.CodeExited, "the host is closing")
	default:
	}
	if m := g.plan.manifest; m != nil {
		if err := m.verify(g.plan.config.Package); err != nil {
			return nil, g.fault(protocol.CodeDeclarationFalse, "%v", err)
		}
	}
	g.mu.Lock()
	g.starts++
	g.mu.Unlock()
	p := &process{
		program: g, began: time.Now(), instances: map[uint32]*instance{}, ended: make(chan struct{}), gone: make(chan struct{}), names: map[string]bool{},
		lines: newLines(g.log),
	}
	if err := p.launch(); err != nil {
		return nil, g.fault(protocol.CodeExited, "start %s: %v", g.plan.command, err)
	}
	p.log = g.log.With("pid", p.pid)
	p.reader = protocol.NewReader(p.conn)
	p.reader.Begun, p.reader.Read = p.frameBegun, func(n int) { p.heard.Store(int64(p.now())); p.bytes.Add(int64(n)) }
	if err := p.handshake(); err != nil {
		p.end(err)
		<-p.gone
		return nil, p.cause()
	}
	p.empty = p.now()
	p.log.Info("a node's process has started", "level", g.plan.level, "start_ms", time.Since(p.began).Milliseconds())
	go p.read()
	go p.watch()
	return p, nil
}

// launch starts the child, and waits for its end on one thread: the system ties the child's life
// to the thread that started it.
func (p *process) launch() error {
	l := &p.program.plan.limits
	p.group = newControlGroup(p.program.kind.options.Groups, p.program.plan.name, l.memory, l.tasks, l.cpu)
	started := make(chan error, 1)
	go func() {
		unlock := pinThread()
		err := p.startChild()
		started <- err
		if err == nil {
			err = p.cmd.Wait()
			p.end(p.exit(err))
			p.sweep()
			p.lines.flush()
		}
		p.group.remove()
		unlock()
		close(p.gone)
	}()
	return <-started
}

// command is what is executed: the program, or the launcher that becomes it.
func (p *process) command() (*exec.Cmd, error) {
	plan := p.program.plan
	o := &p.program.kind.options
	if plan.level == sandbox.LevelProcess {
		return exec.Command(plan.command, plan.args...), nil
	}
	policy := &sandbox.Policy{
		Level: plan.level, Command: plan.command, Args: plan.args, Network: plan.config.Isolation.Network, Processes: plan.config.Isolation.Processes,
		Read: plan.config.Isolation.Read, Write: plan.config.Isolation.Write,
		MemoryMB: plan.limits.memory, Tasks: plan.limits.tasks, Files: plan.limits.files, Nice: max(0, o.Nice),
	}
	if plan.manifest != nil {
		policy.Read = append([]string{packageDir(plan)}, policy.Read...)
	}
	args, err := sandbox.Args(policy)
	if err != nil {
		return nil, err
	}
	return exec.Command(o.Launcher[0], append(append([]string(nil), o.Launcher[1:]...), args...)...), nil
}

// exit says how the process ended by itself.
func (p *process) exit(err error) error {
	detail := "status 0"
	if err != nil {
		detail = err.Error()
	}
	if last := p.lines.last(); last != "" {
		detail += "; it said last: " + last
	}
	return p.program.fault(protocol.CodeExited, "the process has ended: %s", detail)
}

func (p *process) now() time.Duration { return time.Since(p.began) }

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// cause says why it ended.
func (p *process) cause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// end gives the process up: its instances fail, and it is killed if it still runs.
func (p *process) end(why error) {
	p.mu.Lock()
	if p.why != nil {
		p.mu.Unlock()
		return
	}
	p.why = why
	list := p.instances
	p.instances = map[uint32]*instance{}
	close(p.ended)
	p.mu.Unlock()
	_ = p.conn.Close()
	p.kill()
	for _, i := range list {
		i.fail(why)
		i.free()
	}
}

// shutdown asks the process to end, and sees to it that it does.
func (p *process) shutdown() {
	if p.asked.Swap(true) {
		return
	}
	_ = p.send(&protocol.Message{Type: protocol.TypeShutdown})
	p.terminate()
	p.mu.Lock()
	p.shutUp = p.now() + stopLimit
	p.mu.Unlock()
}

// handshake waits for hello, holds it to the plan and answers.
func (p *process) handshake() error {
	g := p.program
	_ = p.conn.SetReadDeadline(time.Now().Add(g.plan.limits.start))
	m, err := p.hello()
	if err != nil {
		return err
	}
	_ = p.conn.SetReadDeadline(time.Time{})
	if err := p.judge(m); err != nil {
		_ = p.conn.SetWriteDeadline(time.Now().Add(hangLimit))
		_ = p.send(&protocol.Message{Type: protocol.TypeRefuse, Code: err.Code, Message: err.Detail})
		return err
	}
	welcome := &protocol.Message{
		Type: protocol.TypeWelcome, Protocol: json.RawMessage(fmt.Sprint(protocol.Version)), Host: "parley",
		Features: []string{"audio", "state", "conversation", "wake", "telemetry", "log"}, Grease: "skip me",
	}
	if err := p.send(welcome); err != nil {
		return err
	}
	p.writing.Lock()
	p.frame = protocol.AppendFrame(p.frame[:0], protocol.KindGrease, []byte("skip me"))
	_, err = p.conn.Write(p.frame)
	p.writing.Unlock()
	if err != nil {
		return g.fault(protocol.CodeExited, "%v", err)
	}
	return p.send(&protocol.Message{Type: "grease-7c"})
}

func (p *process) hello() (*protocol.Message, error) {
	g := p.program
	kind, body, err := p.reader.Next()
	violation := (*protocol.Violation)(nil)
	var timeout net.Error
	switch {
	case errors.As(err, &violation):
		return nil, g.fault(protocol.CodeViolation, "%v: the first frame is hello", violation)
	case errors.As(err, &timeout) && timeout.Timeout():
		return nil, g.fault(protocol.CodeTimeout, "no hello within limits.start_ms, which is %d", g.plan.limits.start.Milliseconds())
	case err != nil:
		p.settle()
		return nil, g.fault(protocol.CodeExited, "the process has closed its connection before hello: %s", p.lines.last())
	case kind != protocol.KindJSON:
		return nil, g.fault(protocol.CodeViolation, "kind: %q: the first frame is hello", kind)
	}
	m, err := protocol.ParseMessage(body)
	if err != nil {
		return nil, g.fault(protocol.CodeViolation, "%v", err)
	}
	if m.Type != protocol.TypeHello {
		return nil, g.fault(protocol.CodeViolation, "type: %.40q: the first message is hello", m.Type)
	}
	return m, nil
}

// settle gives a process that closed its connection a moment to end by itself, so that what is
// told is how it ended.
func (p *process) settle() {
	select {
	case <-p.gone:
	case <-time.After(hangLimit):
	}
}

// judge holds a hello to the plan.
func (p *process) judge(m *protocol.Message) *Error {
	g := p.program
	plan := g.plan
	versions := m.Versions()
	known := false
	for _, v := range versions {
		known = known || v == protocol.Version
	}
	if !known {
		return g.fault(protocol.CodeProtocolVersion, "hello.protocol: %v: this host speaks %d: use an SDK that does", versions, protocol.Version)
	}
	if m.Declaration == nil {
		return g.fault(protocol.CodeDeclarationFalse, "hello.declaration: it has none: send the one of the manifest")
	}
	place := "config.declaration"
	if plan.manifest != nil {
		place = plan.config.Package + ": declaration"
		if m.Name != "" && m.Name != plan.name {
			return g.fault(protocol.CodeDeclarationFalse, "hello.name: %q: %s is package %q: start the program that belongs to it", m.Name, plan.config.Package, plan.name)
		}
		if m.Version != "" && m.Version != plan.version && m.Version != plan.manifest.Version {
			return g.fault(protocol.CodeDeclarationFalse, "hello.version: %q: %s has %q: write the manifest of this version", m.Version, plan.config.Package, plan.manifest.Version)
		}
	}
	if field, said, wanted := m.Declaration.Differs(plan.declaration); field != "" {
		return g.fault(protocol.CodeDeclarationFalse, "hello.declaration.%s: %v: %s.%s says %v: make the two equal", field, said, place, field, wanted)
	}
	return nil
}

// send writes a message.
func (p *process) send(m *protocol.Message) error {
	b, err := protocol.AppendMessage(nil, m)
	if err != nil {
		return p.program.fault(protocol.CodeNode, "%v", err)
	}
	return p.write(b)
}

// write writes a whole frame, and gives the process up that does not take it.
func (p *process) write(b []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.put(b)
}

// put is write for who holds the lock.
func (p *process) put(b []byte) error {
	p.writes.Store(int64(p.now()) + 1)
	_, err := p.conn.Write(b)
	p.writes.Store(0)
	if err == nil {
		return nil
	}
	if p.alive() {
		p.settle()
		p.end(p.program.fault(protocol.CodeExited, "it does not read any more: %v", err))
	}
	if why := p.cause(); why != nil {
		return why
	}
	return p.program.fault(protocol.CodeExited, "%v", err)
}

// sendAudio writes an audio frame; it allocates nothing.
func (p *process) sendAudio(a *protocol.Audio) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.frame = protocol.AppendAudio(p.frame[:0], a)
	return p.put(p.frame)
}

func (p *process) frameBegun(partial bool) {
	if partial {
		p.partial.Store(int64(p.now()) + 1)
	} else {
		p.partial.Store(0)
	}
}

// leastFrame is what a frame counts at least, in bytes: many small ones are work as well.
const leastFrame = 256

// read takes what the child sends until one of both is over.
func (p *process) read() {
	for {
		kind, body, err := p.reader.Next()
		if err == nil {
			p.bytes.Add(int64(max(0, leastFrame-len(body))))
			err = p.take(kind, body)
		}
		if err == nil {
			continue
		}
		violation := (*protocol.Violation)(nil)
		switch {
		case errors.As(err, &violation):
			p.end(p.program.fault(protocol.CodeViolation, "%s", strings.TrimPrefix(violation.Error(), protocol.CodeViolation+": ")))
		case errors.Is(err, io.ErrUnexpectedEOF):
			p.settle()
			p.end(p.program.fault(protocol.CodeViolation, "frame: the stream ended within one: send whole frames"))
		default:
			p.settle() // what it ended of is more than that it ended
			p.end(p.program.fault(protocol.CodeExited, "the process has closed its connection"))
		}
		return
	}
}

// take handles one frame.
func (p *process) take(kind byte, body []byte) error {
	switch kind {
	case protocol.KindAudio:
		if err := protocol.ParseAudio(body, &p.audio); err != nil {
			return err
		}
		a := &p.audio
		i := p.find(a.Instance)
		if i == nil {
			p.program.late.Add(1)
			return nil
		}
		p.event = audioEvent(a)
		return i.deliver(&p.event, a.Sequence)
	case protocol.KindDone:
		d, err := protocol.ParseDone(body)
		if err != nil {
			return err
		}
		if i := p.find(d.Instance); i != nil {
			return i.done(d.Sequence, d.TookUS)
		}
		return nil
	case protocol.KindJSON:
		m, err := protocol.ParseMessage(body)
		if err != nil {
			return err
		}
		return p.message(m)
	}
	p.program.unknown.Add(1)
	return nil
}

func (p *process) find(number uint32) *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.instances[number]
}

// message handles a JSON message.
func (p *process) message(m *protocol.Message) error {
	switch m.Type {
	case protocol.TypePong:
		p.mu.Lock()
		p.suspect = 0
		p.mu.Unlock()
		return nil
	case protocol.TypeLog:
		p.lines.say(m.Level, m.Message, "instance", m.Instance)
		return nil
	case protocol.TypeHello:
		return &protocol.Violation{Field: "type", Value: m.Type, Remedy: "say hello once"}
	}
	i := p.find(m.Instance)
	if i == nil {
		switch m.Type {
		case protocol.TypeStateGet, protocol.TypeStatePut, protocol.TypeConversation:
			return p.answer(&protocol.Message{ID: m.ID, Error: &protocol.Error{Code: protocol.CodeNode, Message: "the instance is over"}})
		}
		p.program.late.Add(1)
		return nil
	}
	return i.message(m)
}

// answer replies to a question of the child. That it cannot is the end of the process, and said there.
func (p *process) answer(m *protocol.Message) error {
	m.Type = protocol.TypeReply
	if err := p.send(m); err != nil && p.alive() {
		m = &protocol.Message{Type: protocol.TypeReply, ID: m.ID, Error: &protocol.Error{Code: protocol.CodeNode, Message: err.Error()}}
		_ = p.send(m)
	}
	return nil
}

// admit gives an instance its number.
func (p *process) admit(i *instance) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why != nil {
		return p.why
	}
	if p.number++; p.number == 0 {
		return p.program.fault(protocol.CodeLimit, "all numbers of instances are used: the process has to be started anew")
	}
	i.number = p.number
	p.instances[i.number] = i
	p.empty = 0
	return nil
}

// forget lets an instance go that has stopped.
func (p *process) forget(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.instances[i.number] == i {
		delete(p.instances, i.number)
	}
	if len(p.instances) == 0 {
		p.empty = p.now()
	}
}
