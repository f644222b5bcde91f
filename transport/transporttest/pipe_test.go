// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// pipe is an adapter whose wire is a pair of channels. It does everything that the suite
// looks at, but for one fault.
type pipe struct {
	host  transport.Host
	fault string

	mu    sync.Mutex
	links map[eventabi.SessionID]*pipeLink
	wires sync.WaitGroup
}

// wire is one connection.
type wire struct {
	up, down chan any
	cut      chan struct{} // by either side
	once     sync.Once
}

func newWire() *wire {
	return &wire{up: make(chan any), down: make(chan any, 256), cut: make(chan struct{})}
}

func (w *wire) close() { w.once.Do(func() { close(w.cut) }) }

// bye is what a client that leaves says.
type bye struct{}

func (p *pipe) capabilities() transport.Capabilities {
	return transport.Capabilities{
		CodecsIn: []string{"pcm_s16le"}, CodecsOut: []string{"pcm_s16le"}, Text: true, Controls: true, Resumes: true,
		BuffersOutput: true, Ack: transport.AckClient,
	}
}

// serve begins the session of a wire.
func (p *pipe) serve(ctx context.Context, w *wire, login Login) (eventabi.SessionID, error) {
	if login.Codec != "" && login.Codec != "pcm_s16le" && p.fault != "any_codec" {
		return "", &transport.RefusedError{Code: transport.RefusedCodec, Supported: []string{"pcm_s16le"}}
	}
	token := login.Token
	if p.fault == "lets_everybody_in" {
		token = Token
	}
	l := &pipeLink{pipe: p, w: w, news: make(chan struct{}, 1), done: make(chan struct{})}
	o := transport.Offer{Kind: "pipe", Token: token, Capabilities: p.capabilities()}
	s, err := p.host.Begin(ctx, o, func(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
		l.in = in
		if p.fault == "early" {
			in.Muted(false)
		}
		return l, nil
	})
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	p.links[s.ID()] = l
	p.mu.Unlock()
	l.work.Go(l.write)
	p.wires.Go(func() { l.read(w) })
	return s.ID(), nil
}

// resume gives a session another wire.
func (p *pipe) resume(ctx context.Context, w *wire, id eventabi.SessionID, token string) error {
	if p.fault != "resumes_anybody" {
		if err := p.host.Readmit(ctx, id, token); err != nil {
			return err
		}
	}
	p.mu.Lock()
	l := p.links[id]
	p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return &transport.RefusedError{Code: transport.RefusedUnknown}
	}
	l.w = w
	l.in.Link(transport.LinkResumed)
	p.wires.Go(func() { l.read(w) })
	return nil
}

// pipeLink is one session.
type pipeLink struct {
	pipe *pipe
	in   transport.Ingress
	news chan struct{}
	done chan struct{}
	work sync.WaitGroup

	mu     sync.Mutex
	w      *wire
	queue  []any
	rest   []int16
	count  int64
	view   int64
	closed bool
}

// read takes what one wire brings, until it is cut.
func (l *pipeLink) read(w *wire) {
	for {
		select {
		case <-w.cut:
			l.state(transport.LinkLost)
			return
		case m := <-w.up:
			if _, left := m.(bye); left {
				if l.pipe.fault == "leaves_as_lost" {
					l.state(transport.LinkLost)
				}
				l.state(transport.LinkLeft)
				return
			}
			l.take(m)
		}
	}
}

func (l *pipeLink) state(s transport.LinkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.in.Link(s)
	}
}

func (l *pipeLink) take(m any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	switch m := m.(type) {
	case []int16:
		for l.rest = append(l.rest, m...); len(l.rest) >= transport.FrameSamples; l.rest = l.rest[transport.FrameSamples:] {
			frame := slices.Clone(l.rest[:transport.FrameSamples])
			if l.pipe.fault == "quiet" {
				for i := range frame {
					frame[i] /= 4
				}
			}
			l.in.Audio(l.count, frame)
			l.count++
			if l.pipe.fault == "twice" {
				l.in.Audio(-1, frame)
			}
		}
	case Text:
		if l.pipe.fault != "deaf_to_text" {
			l.in.Text(m.Text, m.Key)
		}
	case EndOfUtterance:
		l.in.EndOfUtterance(m.Key)
	case Cancel:
		l.in.Cancel(m.Request)
	case Stop:
		l.in.Stop(m.Request)
	case Muted:
		l.in.Muted(m.On)
	case transport.Control:
		if l.pipe.fault != "no_digit" {
			l.in.Control(m)
		}
	case transport.Context:
		l.in.Context(m)
	case Respond:
		l.in.Respond(m.Key)
	case transport.Wishes:
		l.in.Configure(m)
	case transport.ToolResult:
		l.in.ToolResult(m)
	case transport.Playout:
		if l.pipe.fault == "acks_backwards" && m.Position > 3200 {
			m.Position -= 3200
			l.in.Played(transport.Playout{Turn: m.Turn, Generation: m.Generation, Position: m.Position + 3200})
		}
		l.in.Played(m)
	}
}

// write hands what is queued to whatever wire there is, without waiting for its reader.
func (l *pipeLink) write() {
	for {
		select {
		case <-l.done:
			return
		case <-l.news:
		case <-time.After(time.Millisecond):
		}
		l.mu.Lock()
		for n := 0; len(l.queue) > 0; n++ {
			sent := false
			select {
			case l.w.down <- l.queue[0]:
				sent = true
			default:
			}
			if !sent || l.pipe.fault == "keeps_after_fence" && n > 0 {
				break
			}
			l.queue = l.queue[1:]
		}
		l.mu.Unlock()
		if l.pipe.fault == "keeps_after_fence" {
			time.Sleep(15 * time.Millisecond)
		}
	}
}

func (l *pipeLink) push(m any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if len(l.queue) >= 100 {
		if l.pipe.fault == "blocks" {
			l.mu.Unlock()
			<-l.done
			l.mu.Lock()
			return
		}
		l.queue = l.queue[1:]
	}
	l.queue = append(l.queue, m)
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (l *pipeLink) WriteFrame(f *transport.Frame) error {
	g := *f
	g.PCM = slices.Clone(f.PCM)
	if l.pipe.fault == "loses" && f.Position/transport.FrameSamples%2 == 1 {
		return nil
	}
	l.push(g)
	return nil
}

func (l *pipeLink) Fence(f transport.Fence) {
	if l.pipe.fault == "keeps_after_fence" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = slices.DeleteFunc(l.queue, func(m any) bool {
		g, ok := m.(transport.Frame)
		return ok && (f.Session || g.Generation == f.Generation)
	})
}

func (l *pipeLink) TextWindow() int { return 0 }

func (l *pipeLink) WriteText(t transport.Text) { l.push(t) }

func (l *pipeLink) Route(view int64, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if view <= l.view && l.pipe.fault != "routes_back" {
		return errors.New("pipe: view: it is not newer")
	}
	l.view = view
	return nil
}

func (l *pipeLink) Close(string) error {
	l.mu.Lock()
	l.closed = true
	w := l.w
	l.mu.Unlock()
	close(l.done)
	if l.pipe.fault == "close_hangs" {
		select {}
	}
	l.work.Wait()
	w.close()
	switch l.pipe.fault {
	case "late":
		go func() {
			time.Sleep(10 * time.Millisecond)
			l.in.Text("and one more thing", "")
		}()
	case "leaks":
		go func() { select {} }()
	}
	return nil
}

// pipeClient is the other end.
type pipeClient struct {
	pipe *pipe
	id   eventabi.SessionID

	mu      sync.Mutex
	w       *wire
	pcm     []int16
	texts   []transport.Text
	stalled bool
	reading sync.WaitGroup
}

func (p *pipe) Connect(ctx context.Context, login Login) (Client, error) {
	c := &pipeClient{pipe: p, w: newWire()}
	id, err := p.serve(ctx, c.w, login)
	if err != nil {
		return nil, err
	}
	c.id = id
	c.reading.Go(func() { c.read(c.w) })
	return c, nil
}

func (c *pipeClient) read(w *wire) {
	acks := make(chan transport.Playout, 1<<12)
	c.reading.Go(func() {
		for {
			select {
			case <-w.cut:
				return
			case a := <-acks:
				_ = c.send(w, a)
			}
		}
	})
	for {
		select {
		case <-w.cut:
			return
		case m := <-w.down:
			c.mu.Lock()
			stalled := c.stalled
			switch m := m.(type) {
			case transport.Frame:
				c.pcm = append(c.pcm, m.PCM...)
				acks <- transport.Playout{Turn: m.Turn, Generation: m.Generation, Position: m.Position + int64(m.Voiced)}
			case transport.Text:
				c.texts = append(c.texts, m)
			}
			c.mu.Unlock()
			if stalled {
				return
			}
		}
	}
}

func (c *pipeClient) send(w *wire, m any) error {
	select {
	case w.up <- m:
		return nil
	case <-w.cut:
		return errors.New("the link is cut")
	}
}

func (c *pipeClient) wire() *wire {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.w
}

func (c *pipeClient) Speak(pcm []int16) error { return c.send(c.wire(), slices.Clone(pcm)) }
func (c *pipeClient) Send(what any) error     { return c.send(c.wire(), what) }
func (c *pipeClient) Leave() error            { return c.send(c.wire(), bye{}) }
func (c *pipeClient) Garble() error           { return c.send(c.wire(), 42) }

func (c *pipeClient) Heard() []int16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pcm)
}

func (c *pipeClient) Texts() []transport.Text {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.texts)
}

func (c *pipeClient) Stall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = true
}

func (c *pipeClient) Ended() bool {
	select {
	case <-c.wire().cut:
		return true
	default:
		return false
	}
}

func (c *pipeClient) Drop() error {
	c.wire().close()
	return nil
}

func (c *pipeClient) Resume(ctx context.Context, login Login) error {
	w := newWire()
	if err := c.pipe.resume(ctx, w, c.id, login.Token); err != nil {
		return err
	}
	c.mu.Lock()
	c.w.close()
	c.w = w
	c.mu.Unlock()
	c.reading.Go(func() { c.read(w) })
	return nil
}

func (c *pipeClient) Close() error {
	c.wire().close()
	c.reading.Wait()
	return nil
}

// piped is the suite's subject.
func piped(fault string) Subject {
	return Subject{
		Kind: "pipe",
		Start: func(t *testing.T, h transport.Host) Endpoint {
			p := &pipe{host: h, fault: fault, links: map[eventabi.SessionID]*pipeLink{}}
			t.Cleanup(func() { p.wires.Wait() })
			return p
		},
		Codecs: []string{"pcm_s16le"},
	}
}
