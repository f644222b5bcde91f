// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

const patience = 20 * time.Second

// sent is what the server sent to a gateway.
type sent struct {
	Event string `json:"event"`
	Media struct {
		Payload []byte `json:"payload"`
	} `json:"media"`
	Mark struct {
		Name string `json:"name"`
	} `json:"mark"`
	Name string `json:"name"`
}

func (s sent) mark() string { return s.Mark.Name + s.Name }

// gateway is a provider's side of a call.
type gateway struct {
	t      *testing.T
	conn   *websocket.Conn
	d      dialect
	chunks int

	mu      sync.Mutex
	got     []sent
	texts   []string // the same, as it came
	closed  error
	changed chan struct{}
}

// serve starts a server for a test.
func serve(t *testing.T, c Config, hc transporttest.Config) (*Server, *transporttest.Host, string) {
	t.Helper()
	host := transporttest.NewHost(t, hc)
	s, err := New(c, host)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return s, host, "ws" + strings.TrimPrefix(web.URL, "http")
}

// dial connects a gateway, which reads all the time.
func dial(t *testing.T, address string, name Dialect, header http.Header) *gateway {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := dialectOf(name)
	g := &gateway{t: t, conn: conn, d: d, changed: make(chan struct{}, 1)}
	t.Cleanup(func() { _ = conn.CloseNow() })
	go g.listen()
	return g
}

func (g *gateway) listen() {
	for {
		_, data, err := g.conn.Read(context.Background())
		var s sent
		if err == nil {
			err = json.Unmarshal(data, &s)
		}
		g.mu.Lock()
		if err != nil {
			g.closed = err
		} else {
			g.got, g.texts = append(g.got, s), append(g.texts, string(data))
		}
		g.mu.Unlock()
		select {
		case g.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// until waits for what came to be so.
func (g *gateway) until(what string, is func(got []sent, closed error) bool) {
	g.t.Helper()
	deadline := time.After(patience)
	for {
		g.mu.Lock()
		ok := is(g.got, g.closed)
		n := len(g.got)
		g.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-g.changed:
		case <-deadline:
			g.t.Fatalf("%s: did not come; %d messages did, closed: %v", what, n, g.closed)
		}
	}
}

func (g *gateway) send(format string, args ...any) {
	g.t.Helper()
	if err := g.conn.Write(g.t.Context(), websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		g.t.Fatal(err)
	}
}

// start sends the documented beginning of a call, with a token.
func (g *gateway) start(token string) {
	g.t.Helper()
	for _, text := range examples()[g.d.name] {
		if strings.Contains(text, `"connected"`) || strings.Contains(text, `"start"`) {
			g.send("%s", strings.Replace(text, "secret", token, 1))
		}
	}
}

// stream is the id of the example's stream.
func (g *gateway) stream() string {
	return map[Dialect]string{Twilio: "MZ1", Telnyx: "32de", Plivo: "8765", Exotel: "EX1"}[g.d.name]
}

// speak sends sound in the next chunk.
func (g *gateway) speak(sound []byte) {
	g.t.Helper()
	g.chunks++
	g.send(`{"event":"media","%s":%q,"media":{"track":"inbound","chunk":"%d","timestamp":"%d","payload":%q}}`,
		g.d.field, g.stream(), g.chunks, 20*g.chunks, base64.StdEncoding.EncodeToString(sound))
}

// marks gives the names of the marks that came so far.
func (g *gateway) marks() (names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.got {
		if s.Event == g.d.mark {
			names = append(names, s.mark())
		}
	}
	return names
}

// playedBack returns a mark.
func (g *gateway) playedBack(name string) {
	g.t.Helper()
	if g.d.flat {
		g.send(`{"event":%q,"streamId":%q,"name":%q}`, g.d.played, g.stream(), name)
		return
	}
	g.send(`{"event":%q,%q:%q,"mark":{"name":%q}}`, g.d.played, g.d.field, g.stream(), name)
}

// counted says whether so many of an event have come.
func counted(event string, n int) func([]sent, error) bool {
	return func(got []sent, _ error) bool {
		have := 0
		for _, s := range got {
			if s.Event == event {
				have++
			}
		}
		return have >= n
	}
}

func tone(samples int) []int16 {
	pcm := make([]int16, samples)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(float64(i)*2*math.Pi*400/transport.SampleRate))
	}
	return pcm
}

// TestCall: in each dialect a call begins, is heard, is spoken to, presses a key, hears a
// turn to its end, and hangs up.
func TestCall(t *testing.T) {
	for _, d := range dialects() {
		t.Run(string(d.name), func(t *testing.T) {
			t.Parallel()
			s, host, address := serve(t, Config{}, transporttest.Config{})
			g := dial(t, address, d.name, nil)
			g.start(transporttest.Token)
			session := host.Next()
			if o := session.Offer(); o.Kind != Kind || o.Capabilities.Ack != transport.AckGateway || !o.Capabilities.BuffersOutput {
				t.Errorf("offer %+v", o)
			}
			f := d.format
			switch d.name {
			case Telnyx:
				f = Format{Alaw, 8000}
			case Plivo:
				f = Format{Linear16, 16000}
			case Twilio, Exotel:
			}
			speak, err := newSpeaker(f)
			if err != nil {
				t.Fatal(err)
			}
			voice := tone(10 * transport.FrameSamples)
			for n := 0; n < len(voice); n += transport.FrameSamples {
				g.speak(speak.encode(nil, voice[n:n+transport.FrameSamples]))
			}
			heard := session.AwaitHeard(len(voice))
			if loudest(heard) < 7000 || loudest(heard) > 9000 {
				t.Errorf("a voice of 8000 is heard at %d", loudest(heard))
			}
			g.send(`{"event":"dtmf",%q:%q,"dtmf":{"digit":"7"}}`, d.field, g.stream())
			if c := transporttest.Await[transport.Control](session, nil); c.Kind != "dtmf" || c.Digit != "7" || c.Key == "" {
				t.Errorf("control %+v", c)
			}
			session.Play("turn", 1, tone(25*transport.FrameSamples+100))
			end := int64(25*transport.FrameSamples + 100)
			g.until("the last mark", func([]sent, error) bool { return true })
			for last := int64(0); last < end; {
				n := len(transporttest.Came[transport.Playout](session))
				g.until("a mark", counted(d.mark, n+1))
				g.playedBack(g.marks()[n])
				p := transporttest.Await(session, func(p transport.Playout) bool { return p.Position > last })
				if p.Turn != "turn" || p.Generation != 1 || p.Final {
					t.Fatalf("playout %+v", p)
				}
				last = p.Position
			}
			if n := len(g.marks()); n < 3 || n > 8 {
				t.Errorf("%d marks for half a second; want one at its begin, one every 100 ms, one at its end", n)
			}
			g.until("the sound", func(got []sent, _ error) bool {
				bytes := 0
				for _, s := range got {
					bytes += len(s.Media.Payload)
				}
				return bytes >= f.size(26*transport.FrameSamples*f.Rate/transport.SampleRate)
			})
			if d.least > 0 {
				for i, s := range g.got[:2] {
					if s.Event == d.play && (len(s.Media.Payload) < d.least || len(s.Media.Payload)%d.unit != 0) {
						t.Errorf("message %d has %d bytes", i, len(s.Media.Payload))
					}
				}
			}
			g.send(`{"event":"stop",%q:%q}`, d.field, g.stream())
			if state := transporttest.Await[transport.LinkState](session, nil); state != transport.LinkLeft {
				t.Errorf("link %s", state)
			}
			session.AwaitDone()
			if n := s.Stats(); n.Calls != 1 || n.Faults != 0 || n.Unknown != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func loudest(pcm []int16) (most int16) {
	for _, v := range pcm {
		most = max(most, v)
	}
	return most
}

// TestInterrupted: a fence clears the gateway's buffer; the marks that come back because of
// it are not heard, those that came before are; the next turn is not affected.
func TestInterrupted(t *testing.T) {
	s, host, address := serve(t, Config{}, transporttest.Config{})
	g := dial(t, address, Twilio, nil)
	g.start(transporttest.Token)
	session := host.Next()
	session.Play("a", 1, tone(20*transport.FrameSamples))
	g.until("marks", counted("mark", 4))
	marks := g.marks()
	g.playedBack(marks[0])
	g.playedBack(marks[1])
	heard := transporttest.Await(session, func(p transport.Playout) bool { return p.Position > transport.FrameSamples })
	session.Fence("a", 1)
	g.until("clear", counted("clear", 1))
	marks = g.marks() // and all that were sent before it
	final := transporttest.Await(session, func(p transport.Playout) bool { return p.Final })
	if final.Turn != "a" || final.Generation != 1 || final.Position != heard.Position {
		t.Errorf("final %+v; want the place of the last mark that came back, %d", final, heard.Position)
	}
	for _, name := range marks[2:] {
		g.playedBack(name)
	}
	session.Play("b", 2, tone(transport.FrameSamples/2))
	g.until("the next turn's mark", counted("mark", len(marks)+1))
	g.playedBack(g.marks()[len(marks)])
	next := transporttest.Await(session, func(p transport.Playout) bool { return p.Turn == "b" })
	if next.Position != transport.FrameSamples/2 || next.Final {
		t.Errorf("the next turn: %+v", next)
	}
	for _, p := range transporttest.Came[transport.Playout](session) {
		if p.Turn == "a" && p.Position > heard.Position {
			t.Errorf("%+v: sound that was cleared counts as heard", p)
		}
	}
	// Nothing is in the gateway of a turn whose marks have all come back.
	session.Fence("b", 2)
	session.Play("c", 3, tone(transport.FrameSamples/2))
	g.until("the third turn's mark", counted("mark", len(marks)+2))
	if !counted("clear", 1)(g.got, nil) || counted("clear", 2)(g.got, nil) {
		t.Error("clear was sent again; nothing of the second turn was left to clear")
	}
	_ = g.conn.Close(websocket.StatusNormalClosure, "")
	session.AwaitDone()
	if n := s.Stats(); n.Flushed != int64(len(marks)-2) {
		t.Errorf("%+v; want %d marks flushed", n, len(marks)-2)
	}
}

// TestInterruptedWithWord: where the gateway says that it has cleared, marks count until
// then, and the last position is told with its word.
func TestInterruptedWithWord(t *testing.T) {
	_, host, address := serve(t, Config{}, transporttest.Config{})
	g := dial(t, address, Plivo, nil)
	g.start(transporttest.Token)
	session := host.Next()
	session.Play("a", 1, tone(12*transport.FrameSamples))
	g.until("marks", counted("checkpoint", 3))
	session.Fence("a", 1)
	g.until("clear", counted("clearAudio", 1))
	g.playedBack(g.marks()[1]) // was on its way
	heard := transporttest.Await[transport.Playout](session, nil)
	g.send(`{"event":"clearedAudio","sequenceNumber":5,"streamId":"8765"}`)
	final := transporttest.Await(session, func(p transport.Playout) bool { return p.Final })
	if heard.Final || heard.Position == 0 || final.Position != heard.Position || final.Turn != "a" {
		t.Errorf("heard %+v, final %+v", heard, final)
	}
}

// TestTokens: where a token may be, and that nothing begins without one.
func TestTokens(t *testing.T) {
	_, host, address := serve(t, Config{}, transporttest.Config{})
	for _, c := range []struct {
		name, query, header, parameter string
	}{
		{name: "parameter", parameter: transporttest.Token},
		{name: "bearer", header: "Bearer " + transporttest.Token},
		{name: "password", header: "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+transporttest.Token))},
		{name: "address", query: "?token=" + transporttest.Token},
		{name: "the parameter goes first", parameter: transporttest.Token, query: "?token=wrong"},
	} {
		header := http.Header{}
		if c.header != "" {
			header.Set("Authorization", c.header)
		}
		g := dial(t, address+"/"+c.query, Twilio, header)
		parameters := "{}"
		if c.parameter != "" {
			parameters = fmt.Sprintf(`{"token":%q}`, c.parameter)
		}
		g.send(`{"event":"start","streamSid":"MZ1","start":{"streamSid":"MZ1","customParameters":%s}}`, parameters)
		session := host.Next()
		session.Close("enough")
		g.until("the end", func(_ []sent, closed error) bool {
			return websocket.CloseStatus(closed) == websocket.StatusNormalClosure
		})
	}
	g := dial(t, address, Twilio, nil)
	g.start("wrong")
	g.until("the refusal", func(_ []sent, closed error) bool { return websocket.CloseStatus(closed) == 4401 })
	if n := len(host.Sessions()); n != 5 {
		t.Errorf("%d sessions; want 5", n)
	}
}

// TestTurnedDown: each way in which a call does not begin is closed with a code and a
// reason that says what to do.
func TestTurnedDown(t *testing.T) {
	_, host, address := serve(t, Config{Start: 300 * time.Millisecond, Faults: 3}, transporttest.Config{
		Authenticate: func(o transport.Offer) (transport.Bootstrap, error) {
			if o.Token == "full" {
				return transport.Bootstrap{}, &transport.RefusedError{Code: transport.RefusedCapacity, RetryAfter: time.Second}
			}
			return transport.Bootstrap{}, errors.New("what happened inside")
		},
	})
	for _, c := range []struct {
		name string
		send []string
		code websocket.StatusCode
		text string
	}{
		{"no start", nil, websocket.StatusPolicyViolation, "no start message came in time"},
		{"connected only", []string{`{"event":"connected"}`}, websocket.StatusPolicyViolation, "no start message"},
		{"media first", []string{`{"event":"media"}`, `{"event":"media","media":{"payload":""}}`, `{"event":"stop"}`, `{"event":"mark","mark":{"name":"a"}}`, `{"event":"dtmf","dtmf":{"digit":"1"}}`}, websocket.StatusPolicyViolation, "start"},
		{"garbage", []string{"{", "x", "", "[]"}, websocket.StatusPolicyViolation, "too many wrong messages"},
		{"codec", []string{`{"event":"start","stream_id":"1","start":{"media_format":{"encoding":"OPUS","sample_rate":16000}}}`}, 4400, "unsupported_codec"},
		{"no stream", []string{`{"event":"start","start":{}}`, `{"event":"start","start":{}}`, `{"event":"start","start":{}}`, `{"event":"start","start":{}}`}, websocket.StatusPolicyViolation, "names no stream"},
		{"full", []string{`{"event":"start","streamSid":"1","start":{"customParameters":{"token":"full"}}}`}, 4429, "capacity"},
		{"broken inside", []string{`{"event":"start","streamSid":"1","start":{}}`}, websocket.StatusInternalError, "could not begin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := dial(t, address, Twilio, nil)
			for _, text := range c.send {
				if g.conn.Write(t.Context(), websocket.MessageText, []byte(text)) != nil {
					break // closed meanwhile
				}
			}
			g.until("the end", func(_ []sent, closed error) bool { return closed != nil })
			var end websocket.CloseError
			if !errors.As(g.closed, &end) || end.Code != c.code || !strings.Contains(end.Reason, c.text) {
				t.Errorf("closed with %v; want %d %q", g.closed, c.code, c.text)
			}
			if strings.Contains(end.Reason, "inside") {
				t.Errorf("the reason tells too much: %q", end.Reason)
			}
		})
	}
	if n := len(host.Sessions()); n != 0 {
		t.Errorf("%d sessions began", n)
	}
}
