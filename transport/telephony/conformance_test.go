// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

// provider is a gateway as providers describe theirs: it plays what it is sent at the pace
// of speech, returns a mark when all before it was played, and clears its buffer on request.
type provider struct {
	conn   *websocket.Conn
	d      dialect
	format Format
	speak  *speaker
	stop   context.CancelFunc
	done   sync.WaitGroup
	stall  chan struct{}

	mu     sync.Mutex
	rest   []int16 // that is no whole frame yet
	chunks int
	queue  []queued
	heard  []byte // what the caller heard
	closed error
}

// queued is sound that is not played, or a mark.
type queued struct {
	sound []byte
	mark  string
}

// callIn calls a server with a token, and waits until its session has begun.
func callIn(ctx context.Context, address string, sessions func() int, name Dialect, l transporttest.Login) (*provider, error) {
	d, _ := dialectOf(name)
	encoding := l.Codec
	f, err := d.formatOf(encoding, 8000)
	if err != nil {
		f = d.format
	}
	conn, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	p := &provider{conn: conn, d: d, format: f, stop: stop, stall: make(chan struct{})}
	if p.speak, err = newSpeaker(f); err != nil {
		return nil, err
	}
	before := sessions()
	p.done.Go(func() { p.read(ctx) })
	p.done.Go(func() { p.play(ctx) })
	if err := p.write(startOf(name, l.Token, encoding)); err != nil {
		return p, err
	}
	for sessions() == before {
		p.mu.Lock()
		closed := p.closed
		p.mu.Unlock()
		if closed != nil {
			return p, refusal(closed)
		}
		time.Sleep(time.Millisecond)
	}
	return p, nil
}

// startOf is a start message as the provider documents its own.
func startOf(name Dialect, token, encoding string) map[string]any {
	parameters := map[string]string{"token": token}
	switch name {
	case Telnyx:
		return map[string]any{"event": "start", "sequence_number": "1", "stream_id": "s1", "start": map[string]any{
			"user_id": "u1", "call_control_id": "c1", "custom_parameters": parameters,
			"media_format": map[string]any{"encoding": encoding, "sample_rate": 8000, "channels": 1},
		}}
	case Plivo:
		return map[string]any{"event": "start", "sequenceNumber": 0, "extra_headers": string(must(json.Marshal(parameters))), "start": map[string]any{
			"callId": "c1", "streamId": "s1", "accountId": "a1", "tracks": []string{"inbound"},
			"mediaFormat": map[string]any{"encoding": encoding, "sampleRate": 8000},
		}}
	case Exotel:
		return map[string]any{"event": "start", "sequence_number": "1", "stream_sid": "s1", "start": map[string]any{
			"stream_sid": "s1", "call_sid": "c1", "account_sid": "a1", "from": "+911", "to": "+912", "custom_parameters": parameters,
			"media_format": map[string]any{"encoding": encoding, "sample_rate": "8000", "bit_rate": "128kbps"},
		}}
	case Twilio:
	}
	return map[string]any{"event": "start", "sequenceNumber": "1", "streamSid": "s1", "start": map[string]any{
		"accountSid": "a1", "streamSid": "s1", "callSid": "c1", "tracks": []string{"inbound"}, "customParameters": parameters,
		"mediaFormat": map[string]any{"encoding": encoding, "sampleRate": 8000, "channels": 1},
	}}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// refusal reads the reason of a close.
func refusal(closed error) error {
	var end websocket.CloseError
	if !errors.As(closed, &end) || end.Code < 4000 {
		return closed
	}
	code, rest, _ := strings.Cut(end.Reason, ":")
	_, list, _ := strings.Cut(rest, "use one of ")
	refused := &transport.RefusedError{Code: transport.RefusalCode(code), Reason: rest}
	if list != "" {
		refused.Supported = strings.Split(list, ", ")
	}
	return refused
}

func (p *provider) write(what any) error {
	data, err := json.Marshal(what)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	return p.conn.Write(ctx, websocket.MessageText, data)
}

func (p *provider) read(ctx context.Context) {
	for {
		select {
		case <-p.stall:
			return
		default:
		}
		_, data, err := p.conn.Read(ctx)
		p.mu.Lock()
		if err != nil {
			p.closed = err
			p.mu.Unlock()
			return
		}
		var s sent
		_ = json.Unmarshal(data, &s)
		var back []string
		cleared := false
		switch s.Event {
		case p.d.play:
			p.queue = append(p.queue, queued{sound: s.Media.Payload})
		case p.d.mark:
			p.queue = append(p.queue, queued{mark: s.mark()})
		case p.d.clear:
			for _, q := range p.queue {
				if q.mark != "" && p.d.cleared == "" {
					back = append(back, q.mark)
				}
			}
			p.queue, cleared = nil, p.d.cleared != ""
		}
		p.mu.Unlock()
		for _, name := range back {
			p.returned(name)
		}
		if cleared {
			_ = p.write(map[string]string{"event": p.d.cleared, p.d.field: "s1"})
		}
	}
}

// play lets 20 ms out of the queue every 20 ms.
func (p *provider) play(ctx context.Context) {
	ticker := time.NewTicker(transport.FrameDuration)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		var back []string
		for room := p.format.size(160); len(p.queue) > 0; {
			q := &p.queue[0]
			if q.mark != "" {
				back = append(back, q.mark)
			} else if n := min(room, len(q.sound)); n < len(q.sound) || room == 0 {
				p.heard = append(p.heard, q.sound[:n]...)
				q.sound = q.sound[n:]
				break
			} else {
				p.heard = append(p.heard, q.sound...)
				room -= n
			}
			p.queue = p.queue[1:]
		}
		p.mu.Unlock()
		for _, name := range back {
			p.returned(name)
		}
	}
}

func (p *provider) returned(name string) {
	if p.d.flat {
		_ = p.write(map[string]string{"event": p.d.played, p.d.field: "s1", "name": name})
		return
	}
	_ = p.write(map[string]any{"event": p.d.played, p.d.field: "s1", "mark": map[string]string{"name": name}})
}

// Speak sends whole frames of 20 ms, as gateways do.
func (p *provider) Speak(pcm []int16) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, pcm...)
	for ; len(p.rest) >= transport.FrameSamples; p.rest = p.rest[transport.FrameSamples:] {
		p.chunks++
		sound := base64.StdEncoding.EncodeToString(p.speak.encode(nil, p.rest[:transport.FrameSamples]))
		if err := p.write(map[string]any{"event": "media", p.d.field: "s1", "media": map[string]string{"chunk": fmt.Sprint(p.chunks), "payload": sound}}); err != nil {
			return err
		}
	}
	return nil
}

// Heard is what the caller heard, not what was sent.
func (p *provider) Heard() []int16 {
	p.mu.Lock()
	heard := slices.Clone(p.heard)
	p.mu.Unlock()
	l, err := newListener(p.format)
	if err != nil {
		return nil
	}
	return l.decode(heard[:len(heard)-len(heard)%p.format.size(1)])
}

func (p *provider) Send(what any) error {
	if c, ok := what.(transport.Control); ok {
		return p.write(map[string]any{"event": "dtmf", p.d.field: "s1", "dtmf": map[string]string{"digit": c.Digit}})
	}
	return errors.ErrUnsupported
}

func (p *provider) Leave() error { return p.write(map[string]any{"event": "stop", p.d.field: "s1"}) }

func (p *provider) Ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed != nil
}

func (p *provider) Drop() error { return p.conn.CloseNow() }

func (p *provider) Stall() { close(p.stall) }

func (p *provider) Garble() error {
	for _, text := range []string{"{", `{"event":"media","media":{"payload":"*"}}`, `{"event":"dtmf","dtmf":{"digit":"twelve"}}`, `{"event":"start"}`, ""} {
		if err := p.conn.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
			return err
		}
	}
	return p.conn.Write(context.Background(), websocket.MessageBinary, []byte{0, 1, 2})
}

func (p *provider) Close() error {
	p.stop()
	_ = p.conn.CloseNow()
	p.done.Wait()
	return nil
}

type endpoint struct {
	address string
	host    *transporttest.Host
	dialect Dialect
}

func (e endpoint) Connect(ctx context.Context, l transporttest.Login) (transporttest.Client, error) {
	p, err := callIn(ctx, e.address, func() int { return len(e.host.Sessions()) }, e.dialect, l)
	if p == nil {
		return nil, err
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// TestConformance: the contract of transports, with each gateway: marks that come back when
// they are cleared, or a word that says so; sound in frames, or in large pieces.
func TestConformance(t *testing.T) {
	const (
		telephone = "a telephone carries sound and keys"
		gateway   = "the gateway's protocol has no message for it"
	)
	for _, c := range []struct {
		name   Dialect
		codecs []string
	}{
		{Twilio, []string{"audio/x-mulaw"}},
		{Telnyx, []string{"PCMU", "PCMA", "L16"}},
		{Plivo, []string{"audio/x-mulaw", "audio/x-l16"}},
		{Exotel, []string{"base64"}},
	} {
		if testing.Short() && (c.name == Twilio || c.name == Exotel) {
			continue // they take nothing that the others do not
		}
		t.Run(string(c.name), func(t *testing.T) {
			transporttest.Run(t, transporttest.Subject{
				Kind: Kind,
				Start: func(t *testing.T, h transport.Host) transporttest.Endpoint {
					s, err := New(Config{Dialect: c.name}, h)
					if err != nil {
						t.Fatal(err)
					}
					web := httptest.NewServer(s)
					t.Cleanup(func() {
						web.Close()
						for end := time.Now().Add(patience); s.Stats().Open > 0 && time.Now().Before(end); {
							time.Sleep(time.Millisecond)
						}
					})
					host, ok := h.(*transporttest.Host)
					if !ok {
						t.Fatalf("the host is a %T", h)
					}
					return endpoint{"ws" + strings.TrimPrefix(web.URL, "http"), host, c.name}
				},
				Codecs: c.codecs,
				Lacks: map[transporttest.Ability]string{
					transporttest.CanText: telephone, transporttest.CanEnd: telephone, transporttest.CanCancel: telephone, transporttest.CanStop: telephone,
					transporttest.CanContext: telephone, transporttest.CanRespond: telephone, transporttest.CanConfigure: telephone, transporttest.CanTools: telephone,
					transporttest.CanRead: telephone, transporttest.CanMute: gateway, transporttest.CanResume: gateway, transporttest.CanRoute: gateway,
				},
			})
		})
	}
}
