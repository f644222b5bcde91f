// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/internal/serve/servetest"
	"github.com/parley-voice/parley/internal/voices"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

// badWorld is the program behind a mirror.
type badWorld struct {
	*program
	mirror   *mirror
	keys     string
	operator []string
}

// Packets are lost, late and overtaken all the time, and one network forgets a connection:
// by each transport a caller is answered and interrupts, and what the network did is told.
func TestServeThroughABadNetwork(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	w := &badWorld{mirror: openMirror(t), keys: filepath.Join(t.TempDir(), "keys.pem"), operator: []string{"Authorization", "Bearer the-secret-of-the-operator"}}
	if r := runParley(t, "", "token", "keygen", "--out", w.keys); r.code != exitOK {
		t.Fatal(r.errOut)
	}
	args := []string{"serve", "--llm", "scripted", "--listen", near + ":0"}
	for _, set := range []string{
		"auth.mode=token", "auth.keys=file://" + w.keys, "auth.operator_token=env://OPERATOR", "hosts=" + far, "session.max=16", "session.drain_timeout_ms=1000",
		"sip.listen=" + near + ":5060", "sip.address=" + far, "sip.peers=10.9.0.0/24",
	} {
		args = append(args, "--set", set)
	}
	w.program = programProcess(t, []string{"OPERATOR=the-secret-of-the-operator"}, args...)
	routines, memory := w.metric(t, "go_goroutines", w.operator...), w.metric(t, "process_resident_memory_bytes", w.operator...)
	t.Run("all", func(t *testing.T) {
		t.Run("websocket", func(t *testing.T) { t.Parallel(); w.native(t) })
		t.Run("reconnect", func(t *testing.T) { t.Parallel(); w.reconnect(t) })
		t.Run("realtime", func(t *testing.T) { t.Parallel(); w.realtime(t) })
	})
	// By themselves, so that an interruption that is counted is theirs.
	t.Run("media stream", w.mediaStream)
	t.Run("sip", w.telephone)
	until(t, "the end of all sessions", func() bool {
		for _, s := range w.sessions(t, w.operator...) {
			if s.State != "ended" {
				return false
			}
		}
		return true
	})
	until(t, "the end of what served them", func() bool { return w.metric(t, "go_goroutines", w.operator...) < routines+30 })
	if now := w.metric(t, "process_resident_memory_bytes", w.operator...); now > memory+256<<20 {
		t.Errorf("memory grew from %.0f to %.0f MB", memory/(1<<20), now/(1<<20))
	}
	if n := w.metric(t, "parley_frames_after_fence_total", w.operator...); n != 0 {
		t.Errorf("%v frames after a fence", n)
	}
	m := w.mirror
	t.Logf("%d packets passed, %d were lost, %d overtaken; of UDP %d were lost, %d overtaken",
		m.passed.Load(), m.lost.Load(), m.overtaken.Load(), m.udpLost.Load(), m.udpOvertaken.Load())
	if m.lost.Load() == 0 || m.overtaken.Load() == 0 || m.udpLost.Load() == 0 || m.udpOvertaken.Load() == 0 {
		t.Error("the network was not bad")
	}
	w.signal(t)
	w.ended(t, exitOK)
	if log := w.log.String(); strings.Contains(log, "panic") {
		t.Errorf("it panicked:\n%s", log)
	}
}

// behind is an address as it is reached through the mirror.
func behind(address string) string { return strings.Replace(address, near, far, 1) }

// cancels counts what was interrupted so far.
func (w *badWorld) cancels(t *testing.T) float64 {
	t.Helper()
	return w.metric(t, "parley_cancel_latency_seconds_count", w.operator...)
}

// token gives one for a session by a transport.
func (w *badWorld) token(t *testing.T, kind, session string) string {
	t.Helper()
	r := runParley(t, "", "token", "issue", "--keys", "file://"+w.keys, "--transport", kind, "--session", session)
	if r.code != exitOK {
		t.Fatal(r.errOut)
	}
	return strings.TrimSpace(r.out)
}

// dialed is an HTTP client that knows the ports it has dialled from.
type dialed struct {
	http.Client

	mu   sync.Mutex
	list []uint16
}

func newDialed() *dialed {
	d := &dialed{}
	d.Transport = &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if at, ok := c.LocalAddr().(*net.TCPAddr); ok {
			d.mu.Lock()
			d.list = append(d.list, uint16(at.Port)) //nolint:gosec // it is a port
			d.mu.Unlock()
		}
		return c, nil
	}}
	return d
}

// latest gives the last port.
func (d *dialed) latest() uint16 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list[len(d.list)-1]
}

func (w *badWorld) listen(t *testing.T, path, session string) (*listener, *dialed) {
	t.Helper()
	token, d := w.token(t, "websocket", session), newDialed()
	return listenBy(t, client.Config{
		URL: behind(w.url) + path, HTTP: &d.Client, Token: func(context.Context) (string, error) { return token, nil }, Patience: 5 * time.Second,
	}), d
}

// native is a conversation by Parley's own protocol.
func (w *badWorld) native(t *testing.T) {
	t.Helper()
	l, _ := w.listen(t, websocketPath, "n-1")
	l.ask(1)
	l.asks("count to ten", 2)
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	l.await("the end of what was stopped", 1, emitted(eventabi.SignalPlaybackCancelled))
	l.ask(2)
	if l.said() == "" || l.sound == 0 {
		t.Errorf("it said %q, %d samples", l.said(), l.sound)
	}
}

// reconnect has the network forget a connection in mid-sentence: both ends find out by
// themselves, and the conversation goes on by another one.
func (w *badWorld) reconnect(t *testing.T) {
	t.Helper()
	l, d := w.listen(t, "/brisk", "n-2")
	l.asks("count to ten", 1)
	l.mu.Lock()
	heard := l.sound
	l.mu.Unlock()
	until(t, "half a second of it", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.sound > heard+8000
	})
	before := l.Stats().Reconnects
	w.mirror.forget(d.latest())
	until(t, "its coming back", func() bool { return l.Stats().Reconnects > before })
	if got := l.Session(); got != "n-2" {
		t.Errorf("it came back to %s", got)
	}
	done := l.count(emitted(eventabi.SignalPlaybackCompleted))
	l.asks("what time is it", l.count(emitted(eventabi.SignalPlaybackStarted))+1)
	l.await("an answer behind that", done+1, emitted(eventabi.SignalPlaybackCompleted))
}

// wire is a WebSocket of JSON.
type wireConn struct {
	*ws.Conn
	t *testing.T
}

func (w *badWorld) wire(t *testing.T, path, token string, protocols ...string) *wireConn {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	c, _, err := ws.Dial(t.Context(), behind(w.url)+path, &ws.DialOptions{HTTPHeader: header, Subprotocols: protocols, HTTPClient: &newDialed().Client}) //nolint:bodyclose // it has none
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1 << 22)
	t.Cleanup(func() { _ = c.CloseNow() })
	return &wireConn{c, t}
}

func (c *wireConn) send(v any) {
	c.t.Helper()
	if err := c.Write(c.t.Context(), ws.MessageText, mustJSON(v)); err != nil {
		c.t.Fatal(err)
	}
}

// heardEvent is what the tests read of an event of the Realtime API.
type heardEvent struct {
	Type       string
	Delta      string
	ResponseID string `json:"response_id"`
	Response   struct{ ID, Status string }
}

func (c *wireConn) next() (e heardEvent) {
	c.t.Helper()
	ctx, stop := context.WithTimeout(c.t.Context(), servetest.Patience)
	defer stop()
	_, data, err := c.Read(ctx)
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

// answer asks, and gives the sound of the answer, its id and how it ended. With cut it is
// cancelled when it begins to be heard.
func (c *wireConn) answer(text string, cut bool) (sound []byte, id, status string) {
	c.t.Helper()
	c.send(map[string]any{"type": "conversation.item.create", "item": map[string]any{
		"type": "message", "role": "user", "content": []any{map[string]string{"type": "input_text", "text": text}},
	}})
	c.send(map[string]string{"type": "response.create"})
	for {
		e := c.next()
		switch e.Type {
		case "error":
			return nil, "", "error"
		case "response.created":
			id = e.Response.ID
		case "response.output_audio.delta":
			b, err := base64.StdEncoding.DecodeString(e.Delta)
			if err != nil {
				c.t.Fatal(err)
			}
			if len(sound) == 0 && cut {
				c.send(map[string]string{"type": "response.cancel"})
			}
			sound = append(sound, b...)
		case "response.done":
			return sound, id, e.Response.Status
		}
	}
}

// realtime is a conversation by OpenAI's API.
func (w *badWorld) realtime(t *testing.T) {
	t.Helper()
	c := w.wire(t, realtimePath+"?model=x", w.token(t, "realtime", "r-1"), "realtime")
	whole := func() {
		until(t, "an answer that is heard to its end", func() bool {
			sound, _, status := c.answer("what time is it", false)
			return status == "completed" && loud(pcm16(sound))
		})
	}
	whole()
	cancelled := ""
	until(t, "an answer that is cancelled", func() bool {
		_, id, status := c.answer("tell me a story", true)
		cancelled = id
		return status == "cancelled"
	})
	c.send(map[string]any{"type": "conversation.item.retrieve", "item_id": "nothing"}) // its error stands behind what was on its way
	for e := c.next(); e.Type != "error"; e = c.next() {
		if e.Type == "response.output_audio.delta" && e.ResponseID == cancelled {
			t.Error("there is sound of an answer behind its end")
		}
	}
	whole()
	_ = c.Close(ws.StatusNormalClosure, "")
}

func pcm16(b []byte) []int16 {
	pcm := make([]int16, len(b)/2)
	for i := range pcm {
		pcm[i] = int16(uint16(b[2*i]) | uint16(b[2*i+1])<<8)
	}
	return pcm
}

// loud says whether sound holds half a second of voice.
func loud(pcm []int16) bool {
	const frame = 160
	voiced := 0
	for ; len(pcm) >= frame; pcm = pcm[frame:] {
		for _, v := range pcm[:frame] {
			if v > 700 || v < -700 {
				voiced++
				break
			}
		}
	}
	return voiced >= 25
}

// gateway is a telephone provider's: it plays at the pace of speech what it is sent, returns a
// mark when all before it was played, and sends the caller's sound all the time.
type gateway struct {
	*wireConn

	mu     sync.Mutex
	queue  []queued
	heard  []int16
	voiced time.Time // when the agent's voice was heard last
	speech []int16   // at 8000 Hz, that is not said yet
}

// queued is sound that was not played, or a mark.
type queued struct {
	sound []byte
	mark  string
}

func (g *gateway) read() {
	for {
		_, data, err := g.Read(context.Background())
		if err != nil {
			return
		}
		var m struct {
			Event string
			Media struct{ Payload []byte }
			Mark  struct{ Name string }
		}
		if json.Unmarshal(data, &m) != nil {
			continue
		}
		g.mu.Lock()
		switch m.Event {
		case "media":
			g.queue = append(g.queue, queued{sound: m.Media.Payload})
		case "mark":
			g.queue = append(g.queue, queued{mark: m.Mark.Name})
		case "clear":
			for i := range g.queue {
				g.queue[i].sound = nil // its marks come back
			}
		}
		g.mu.Unlock()
	}
}

// tick is 20 ms: of the agent's sound at the caller's ear, and of the caller's on its way.
func (g *gateway) tick(n int) error {
	frame := make([]int16, 160)
	g.mu.Lock()
	var marks []string
	before := len(g.heard)
	for room := 160; len(g.queue) > 0; {
		q := &g.queue[0]
		if q.mark != "" {
			marks = append(marks, q.mark)
		} else if k := min(room, len(q.sound)); k < len(q.sound) || room == 0 {
			g.heard = codec.MuLaw.Decode(g.heard, q.sound[:k])
			q.sound = q.sound[k:]
			break
		} else {
			g.heard = codec.MuLaw.Decode(g.heard, q.sound)
			room -= k
		}
		g.queue = g.queue[1:]
	}
	if n := len(g.heard); n > before && slices.Max(g.heard[before:]) > 700 {
		g.voiced = time.Now()
	}
	g.speech = g.speech[copy(frame, g.speech):]
	g.mu.Unlock()
	messages := []any{map[string]any{"event": "media", "streamSid": "MZ1", "media": map[string]string{
		"track": "inbound", "chunk": fmt.Sprint(n), "payload": base64.StdEncoding.EncodeToString(codec.MuLaw.Encode(nil, frame)),
	}}}
	for _, name := range marks {
		messages = append(messages, map[string]any{"event": "mark", "streamSid": "MZ1", "mark": map[string]string{"name": name}})
	}
	for _, m := range messages {
		if err := g.Write(context.Background(), ws.MessageText, mustJSON(m)); err != nil {
			return err
		}
	}
	return nil
}

func (g *gateway) with(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// mediaStream is a call as Twilio streams it.
func (w *badWorld) mediaStream(t *testing.T) {
	t.Helper()
	g := &gateway{wireConn: w.wire(t, streamPath, "")}
	g.send(map[string]string{"event": "connected", "protocol": "Call", "version": "1.0.0"})
	g.send(map[string]any{"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": map[string]any{
		"accountSid": "AC1", "streamSid": "MZ1", "callSid": "CA1", "tracks": []string{"inbound"},
		"mediaFormat":      map[string]any{"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
		"customParameters": map[string]string{"token": w.token(t, "telephony", "t-1")},
	}})
	var all sync.WaitGroup
	all.Go(g.read)
	ctx, stop := context.WithCancel(t.Context())
	all.Go(func() { everyFrame(ctx, g.tick) })
	until(t, "an answer", func() bool {
		g.with(func() { g.speech = narrow(t, "young-man") })
		return within(again, func() (is bool) { g.with(func() { is = loud(g.heard) }); return is })
	})
	before := w.cancels(t)
	interrupts(t, &g.mu, &g.speech, func() bool { return time.Since(g.voiced) < 100*time.Millisecond }, func() bool { return w.cancels(t) > before })
	g.with(func() { g.heard = nil })
	until(t, "an answer to that", func() bool {
		if within(again, func() (is bool) { g.with(func() { is = loud(g.heard) }); return is }) {
			return true
		}
		g.with(func() { g.speech = narrow(t, "young-man") })
		return false
	})
	stop()
	g.send(map[string]any{"event": "stop", "streamSid": "MZ1", "stop": map[string]string{"callSid": "CA1"}})
	until(t, "the end of the call", func() bool { return w.sessions(t, w.operator...)["t-1"].State == "ended" })
	_ = g.CloseNow()
	all.Wait()
}

// interrupts speaks into the agent's answers, and asks for one where there is none, until
// something comes true. speaks says with the lock whether the agent is heard.
func interrupts(t *testing.T, mu *sync.Mutex, speech *[]int16, speaks, is func() bool) {
	t.Helper()
	const pause = 5 * codec.G711Rate // of silence behind each
	interrupting, asking := append(narrow(t, "amiable-woman"), make([]int16, pause)...), append(narrow(t, "young-man"), make([]int16, pause)...)
	until(t, "an interruption", func() bool {
		mu.Lock()
		heard := speaks()
		if heard && len(*speech) <= pause {
			*speech = interrupting
		} else if !heard && len(*speech) == 0 {
			*speech = asking
		}
		mu.Unlock()
		return is()
	})
}

// everyFrame calls something every 20 ms until it fails.
func everyFrame(ctx context.Context, do func(n int) error) {
	tick := time.NewTicker(transport.FrameDuration)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if do(n) != nil {
				return
			}
		}
	}
}

// within says whether something comes true in a time.
func within(d time.Duration, is func() bool) bool {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return true
		}
	}
	return is()
}

// narrow is a voice as a telephone has it.
func narrow(t *testing.T, voice string) []int16 {
	t.Helper()
	v, err := voices.Lookup(voice)
	if err != nil {
		t.Fatal(err)
	}
	clip, err := v.Clip()
	if err != nil {
		t.Fatal(err)
	}
	down, err := codec.NewResampler(transport.SampleRate, codec.G711Rate)
	if err != nil {
		t.Fatal(err)
	}
	return down.Resample(nil, clip.PCM)
}
