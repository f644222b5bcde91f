// SPDX-License-Identifier: Apache-2.0

package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
)

// Options are what a program says beside its node.
type Options struct {
	// Name and Version are the package's, where the declaration's are not.
	Name, Version string
	// Config is the config that the declaration is asked of; nil = none. The declaration is the same
	// for every config.
	Config json.RawMessage
	// Credits is how many events the host may have under way in an instance; 0 = 8.
	Credits int
}

// Main serves the host that started this program. It returns when the host has gone: nil, or why
// it could not go on.
func Main(kind node.Kind, o Options) error {
	conn, err := connect()
	if err != nil {
		return err
	}
	return Serve(conn, kind, o)
}

func connect() (net.Conn, error) {
	fd, path := os.Getenv(protocol.EnvFD), os.Getenv(protocol.EnvSocket)
	switch {
	case fd != "":
		n, err := strconv.Atoi(fd)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("child: %s: %q: is no descriptor; Parley sets it", protocol.EnvFD, fd)
		}
		file := os.NewFile(uintptr(n), "host")
		conn, err := net.FileConn(file)
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("child: %s: %q: %w; Parley sets it", protocol.EnvFD, fd, err)
		}
		return conn, nil
	case path != "":
		conn, err := net.Dial("unix", path)
		if err != nil {
			return nil, fmt.Errorf("child: %s: %w", protocol.EnvSocket, err)
		}
		return conn, nil
	}
	return nil, fmt.Errorf("child: %s is not set: this program is a node, which Parley starts from a spec of type external", protocol.EnvFD)
}

// server is one connection.
type server struct {
	kind    node.Kind
	about   node.Declaration
	credits int
	conn    io.ReadWriteCloser

	writing sync.Mutex
	frame   []byte

	mu        sync.Mutex
	instances map[uint32]*instance
	replies   map[uint64]chan *protocol.Message
	asked     uint64

	over    chan struct{}
	work    sync.WaitGroup
	unknown atomic.Int64
	ending  atomic.Bool
}

// Serve serves a connection to a host.
func Serve(conn io.ReadWriteCloser, kind node.Kind, o Options) error {
	about, err := kind.Describe(o.Config)
	if err != nil {
		return fmt.Errorf("child: %w", err)
	}
	about.Inline = false // it is a promise to a host of the same process
	s := &server{
		kind: kind, about: about, credits: o.Credits, conn: conn, instances: map[uint32]*instance{}, replies: map[uint64]chan *protocol.Message{},
		over: make(chan struct{}),
	}
	if s.credits < 1 || s.credits > protocol.MaxCredits {
		s.credits = protocol.DefaultCredits
	}
	versions := json.RawMessage(fmt.Sprintf("[%d]", protocol.Version))
	hello := &protocol.Message{
		Type: protocol.TypeHello, Protocol: versions, SDK: "parley-node-go/1", Name: o.Name, Version: o.Version,
		Declaration: protocol.Declare(about), Features: []string{"audio", "state", "conversation", "wake", "telemetry"},
	}
	if err := s.send(hello); err != nil {
		return fmt.Errorf("child: hello: %w", err)
	}
	err = s.read()
	close(s.over)
	_ = conn.Close()
	s.stopAll()
	stopped := make(chan struct{})
	go func() {
		s.work.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
		return err
	case <-time.After(stopWait):
		return errors.Join(err, errors.New("child: an instance does not stop"))
	}
}

// stopWait is how long instances have to stop when the host has gone.
const stopWait = 2 * time.Second

func (s *server) send(m *protocol.Message) error {
	b, err := protocol.AppendMessage(nil, m)
	if err != nil {
		return err
	}
	return s.write(b)
}

func (s *server) write(b []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := s.conn.Write(b)
	return err
}

func (s *server) sendAudio(a *protocol.Audio) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.frame = protocol.AppendAudio(s.frame[:0], a)
	_, err := s.conn.Write(s.frame)
	return err
}

func (s *server) sendDone(d protocol.Done) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.frame = protocol.AppendDone(s.frame[:0], d)
	_, err := s.conn.Write(s.frame)
	return err
}

// read takes frames until the host has gone or says so.
func (s *server) read() error {
	reader := protocol.NewReader(s.conn)
	var audio protocol.Audio
	welcome := false
	for {
		kind, body, err := reader.Next()
		if errors.Is(err, io.EOF) || err != nil && s.ending.Load() {
			return nil
		}
		if err != nil {
			return fmt.Errorf("child: %w", err)
		}
		switch kind {
		case protocol.KindAudio:
			if err := protocol.ParseAudio(body, &audio); err != nil {
				return fmt.Errorf("child: %w", err)
			}
			s.audio(&audio)
		case protocol.KindJSON:
			m, err := protocol.ParseMessage(body)
			if err != nil {
				return fmt.Errorf("child: %w", err)
			}
			if !welcome {
				if welcome, err = s.welcome(m); err != nil {
					return err
				}
				continue
			}
			if m.Type == protocol.TypeShutdown {
				s.shutdown()
				continue
			}
			if err := s.take(m); err != nil {
				return fmt.Errorf("child: %w", err)
			}
		default:
			s.unknown.Add(1)
		}
	}
}

func (s *server) welcome(m *protocol.Message) (bool, error) {
	switch m.Type {
	case protocol.TypeWelcome:
		if v := m.Chosen(); v != protocol.Version {
			return false, fmt.Errorf("child: welcome.protocol: %d: this program speaks %d", v, protocol.Version)
		}
		return true, nil
	case protocol.TypeRefuse:
		return false, fmt.Errorf("child: the host refuses this node: %s: %s", m.Code, m.Message)
	}
	s.unknown.Add(1)
	return false, nil
}

func (s *server) find(number uint32) *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.instances[number]
}

// audio hands an audio event to its instance, which copies it.
func (s *server) audio(a *protocol.Audio) {
	i := s.find(a.Instance)
	if i == nil {
		_ = s.sendDone(protocol.Done{Instance: a.Instance, Sequence: a.Sequence})
		return
	}
	i.deliverAudio(a)
}

// take handles a message.
func (s *server) take(m *protocol.Message) error {
	switch m.Type {
	case protocol.TypePing:
		return s.send(&protocol.Message{Type: protocol.TypePong, Nonce: m.Nonce})
	case protocol.TypeReply:
		s.mu.Lock()
		to := s.replies[m.ID]
		delete(s.replies, m.ID)
		s.mu.Unlock()
		if to != nil {
			to <- m
		}
		return nil
	case protocol.TypeOpen:
		return s.open(m)
	}
	answers := map[string]string{
		protocol.TypeBargeIn: protocol.TypeBargedIn, protocol.TypeCancel: protocol.TypeCancelled, protocol.TypeBudget: protocol.TypeBudgeted,
		protocol.TypeStop: protocol.TypeStopped, protocol.TypeEvent: protocol.TypeDone,
	}
	answer, known := answers[m.Type]
	i := s.find(m.Instance)
	switch {
	case !known:
		s.unknown.Add(1)
	case i == nil:
		return s.send(&protocol.Message{Type: answer, Instance: m.Instance, Seq: m.Seq})
	case m.Type == protocol.TypeEvent:
		return i.deliver(m)
	default:
		i.control(m, answer)
	}
	return nil
}

func (s *server) open(m *protocol.Message) error {
	s.mu.Lock()
	if m.Instance == 0 || s.instances[m.Instance] != nil {
		s.mu.Unlock()
		return &protocol.Violation{Field: "open.instance", Value: m.Instance, Remedy: "give each instance a number of its own, from 1"}
	}
	i := newInstance(s, m)
	s.instances[m.Instance] = i
	s.mu.Unlock()
	s.work.Go(i.run)
	return nil
}

func (s *server) forget(number uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.instances, number)
}

// ask asks the host and waits for the answer; nil when the host has gone.
func (s *server) ask(m *protocol.Message) *protocol.Message {
	answer := make(chan *protocol.Message, 1)
	s.mu.Lock()
	s.asked++
	m.ID = s.asked
	s.replies[m.ID] = answer
	s.mu.Unlock()
	if s.send(m) != nil {
		return nil
	}
	select {
	case r := <-answer:
		return r
	case <-s.over:
		return nil
	}
}

// shutdown stops what is open, and then ends the connection; what is asked of the host meanwhile is
// still answered.
func (s *server) shutdown() {
	if s.ending.Swap(true) {
		return
	}
	s.stopAll()
	go func() {
		s.work.Wait()
		_ = s.conn.Close()
	}()
}

// stopAll stops what is open when the host has gone.
func (s *server) stopAll() {
	s.mu.Lock()
	list := make([]*instance, 0, len(s.instances))
	for _, i := range s.instances {
		list = append(list, i)
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b *instance) int { return int(int64(a.number) - int64(b.number)) })
	for _, i := range list {
		i.control(&protocol.Message{Type: protocol.TypeStop}, protocol.TypeStopped)
	}
}
