// SPDX-License-Identifier: Apache-2.0

package talk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/internal/audio"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/demo"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/websocket"
)

// loudness is a detector for clean sound: what is loud is speech.
type loudness struct{}

func (loudness) Probability(frame *[vad.FrameSamples]int16) float32 {
	for _, v := range frame {
		if v > 1000 {
			return 0.9
		}
	}
	return 0.05
}

func (loudness) Reset() {}

const (
	shortReply = "It is noon."
	longReply  = "Once upon a time there was a keeper who counted every ship that came by, and there were a great many of them, every evening and every morning, for years and years."
)

// engines are fakes that answer one thing after the other.
func engines(replies ...string) parley.Config {
	return parley.Config{
		STT: &providertest.FakeSTT{Utterances: []providertest.Utterance{providertest.Say("tell me a story", 4000)}},
		TTS: &providertest.FakeTTS{}, LLM: &providertest.FakeLLM{Replies: replies},
		Endpointer: func() (node.Node, error) { return vad.NewEndpointNode(loudness{}, vad.EndpointerConfig{}) },
		Segmenter:  func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
	}
}

func native(h transport.Host) (http.Handler, func(context.Context) error, error) {
	s, err := websocket.New(websocket.Config{}, h)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// shown is what a view writes.
type shown struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *shown) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *shown) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *shown) has(text string) func() bool {
	return func() bool { return strings.Contains(s.String(), text) }
}

// inOrder wants texts one after the other.
func (s *shown) inOrder(t *testing.T, texts ...string) {
	t.Helper()
	rest := s.String()
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Fatalf("%q does not come where it should in\n%s", text, s)
		}
		rest = after
	}
}

// remote is a server of a network.
type remote struct {
	*httptest.Server
	mu    sync.Mutex
	conns []net.Conn
}

// goAway closes the door, and then cuts the connections.
func (r *remote) goAway() {
	r.Listener.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
}

// server is one whose token is "secret".
func server(t *testing.T, replies ...string) *remote {
	t.Helper()
	rt, err := parley.New(engines(replies...))
	if err != nil {
		t.Fatal(err)
	}
	host, err := rt.Host(parley.HostConfig{Authenticate: func(_ context.Context, o transport.Offer) (parley.Grant, error) {
		if o.Token != "secret" {
			return parley.Grant{}, &transport.RefusedError{Code: transport.RefusedToken, Reason: "it is not the secret"}
		}
		return parley.Grant{}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	handler, done, err := native(host)
	if err != nil {
		t.Fatal(err)
	}
	web := &remote{Server: httptest.NewUnstartedServer(handler)}
	web.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		web.mu.Lock()
		defer web.mu.Unlock()
		web.conns = append(web.conns, c)
		return ctx
	}
	web.Start()
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), deadline)
		defer stop()
		if err := errors.Join(host.Close(ctx), done(ctx)); err != nil {
			t.Error(err)
		}
		web.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return web
}

func token(text string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return text, nil }
}

// wav reads both voices of what was left.
func wav(t *testing.T, path string) (loud bool) {
	t.Helper()
	clip, _, err := audio.ReadWAVFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range clip.PCM {
		loud = loud || v > 200 || v < -200
	}
	return loud
}

// A file of lines is a conversation: each is said when the one before was answered, and at its
// end the call is hung up. It is the same with an agent of this process and with a server.
func TestLines(t *testing.T) {
	for _, where := range []string{"local", "server"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			var out shown
			dir := t.TempDir()
			c := Config{
				View: console.New(&out, false, nil), Lines: strings.NewReader("what time is it\n\nand now\n"),
				Out: filepath.Join(dir, "call.wav"), Notes: []string{"a note"},
			}
			if where == "local" {
				c.Local = &Local{Runtime: engines(shortReply, "It is one."), Transport: native, Record: filepath.Join(dir, "recording")}
			} else {
				c.Client = client.Config{URL: server(t, shortReply, "It is one.").URL, Token: token("secret")}
			}
			s, err := Run(t.Context(), c)
			if err != nil {
				t.Fatal(err, out.String())
			}
			out.inOrder(t, "note      a note", "caller    what time is it", "turn 1    active", "latency   audio after", "agent     "+shortReply,
				"caller    and now", "turn 2    active", "agent     It is one.")
			if s.Turns != 2 || s.Reason != "conversation_over" || s.Heard < time.Second || s.Session == "" {
				t.Errorf("%+v", s)
			}
			if strings.Count(out.String(), "what time is it") != 1 {
				t.Errorf("what was typed is shown more than once:\n%s", &out)
			}
			if !wav(t, c.Out) {
				t.Error("the WAV is silent")
			}
			if _, err := os.Stat(filepath.Join(dir, "recording")); where == "local" && err != nil {
				t.Error(err)
			}
		})
	}
}

// Recordings are said, understood and answered, and the call is over.
func TestRecordings(t *testing.T) {
	tone := make([]int16, audio.Rate*3/2)
	for i := range tone {
		tone[i] = 5000
	}
	for _, where := range []string{"local", "server"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			var out shown
			c := Config{View: console.New(&out, false, nil), Cues: []demo.Cue{{Name: "tone.wav", PCM: tone, When: demo.AtTime, Delay: 500 * time.Millisecond}}}
			if where == "local" {
				c.Local = &Local{Runtime: engines(shortReply), Transport: native}
			} else {
				c.Client = client.Config{URL: server(t, shortReply).URL, Token: token("secret")}
			}
			s, err := Run(t.Context(), c)
			if err != nil {
				t.Fatal(err, out.String())
			}
			out.inOrder(t, "plays     tone.wav", "caller    tell me a story")
			out.inOrder(t, "turn 1    active", "latency   audio after", "agent     "+shortReply)
			if s.Turns != 1 || s.Reason != "conversation_over" {
				t.Errorf("%+v", s)
			}
		})
	}
}

// At a keyboard Enter says, Ctrl-S stops the agent, and Ctrl-C hangs up, in good order.
func TestKeys(t *testing.T) {
	for _, where := range []string{"local", "server"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			var out shown
			keys, hands := io.Pipe()
			defer hands.Close()
			c := Config{View: console.New(&out, false, nil), Keys: keys}
			if where == "local" {
				c.Local = &Local{Runtime: engines(longReply, longReply), Transport: native}
			} else {
				c.Client = client.Config{URL: server(t, longReply, longReply).URL, Token: token("secret")}
			}
			ended := make(chan error, 1)
			var s Summary
			go func() {
				var err error
				s, err = Run(t.Context(), c)
				ended <- err
			}()
			press := func(keys, until string) {
				if _, err := io.WriteString(hands, keys); err != nil {
					t.Error(err)
				}
				for end := time.Now().Add(deadline); !out.has(until)(); time.Sleep(5 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("%q does not come in\n%s", until, &out)
					}
				}
			}
			press("a storx\x7fy\r", "audio after")
			time.Sleep(50 * frameTime) // something is heard
			press("\x13", "agent     Once")
			cut := map[string]string{"local": "[not heard: ", "server": "(cut off)"}
			out.inOrder(t, "caller    a story", "turn 1    active", "agent     Once", cut[where])
			press("\x14another\r", "turn 2    active")
			if _, err := io.WriteString(hands, "\x03"); err != nil {
				t.Error(err)
			}
			select {
			case err := <-ended:
				if err != nil || s.Reason != "hung up" || s.Turns != 2 {
					t.Errorf("%v, %+v", err, s)
				}
			case <-time.After(2 * deadline):
				t.Fatal("it does not hang up")
			}
		})
	}
}

// An interrupt ends the call in good order, and what was said until then is whole.
func TestInterrupt(t *testing.T) {
	var out shown
	ctx, interrupt := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "call.wav")
	go func() {
		for !out.has("audio after")() && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(10 * frameTime)
		interrupt()
	}()
	s, err := Run(ctx, Config{
		Local: &Local{Runtime: engines(longReply), Transport: native}, View: console.New(&out, false, nil),
		Lines: strings.NewReader("a story\n"), Out: path,
	})
	interrupt()
	if err != nil || s.Reason != "interrupted" || !wav(t, path) {
		t.Errorf("%v, %+v\n%s", err, s, &out)
	}
}

// What cannot begin says so, and leaves nothing.
func TestNoStart(t *testing.T) {
	web := server(t)
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "call.wav")
	for name, c := range map[string]struct {
		config Config
		says   string
	}{
		"a wrong token":   {Config{Client: client.Config{URL: web.URL, Token: token("guess")}}, "token_invalid"},
		"nobody there":    {Config{Client: client.Config{URL: "ws://127.0.0.1:1/v1/ws"}}, "refused"},
		"no engines":      {Config{Local: &Local{Transport: native}}, "stt"},
		"a taken folder":  {Config{Local: &Local{Runtime: engines(), Transport: native, Record: filepath.Join(blocked, "recording")}}, "record"},
		"no place for it": {Config{Out: filepath.Join(path, "no", "call.wav")}, "--out"},
	} {
		c.config.View = console.New(io.Discard, false, nil)
		if c.config.Out == "" {
			c.config.Out = path
		}
		_, err := Run(t.Context(), c.config)
		if !errors.Is(err, ErrNoStart) || !strings.Contains(strings.ToLower(err.Error()), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left, %v", name, left, err)
		}
	}
}

// A server that goes away is told, and ends the call when it does not come back.
func TestServerGoesAway(t *testing.T) {
	var out shown
	web := server(t, longReply)
	go func() {
		for !out.has("audio after")() && t.Context().Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		web.goAway()
	}()
	_, err := Run(t.Context(), Config{
		Client: client.Config{URL: web.URL, Token: token("secret"), First: 10 * time.Millisecond, GiveUp: 200 * time.Millisecond},
		View:   console.New(&out, false, nil), Lines: strings.NewReader("a story\n"),
	})
	if err == nil || errors.Is(err, ErrNoStart) || !out.has("the connection is lost")() {
		t.Errorf("%v\n%s", err, &out)
	}
}

// What a server tells is shown: who is heard, what is cut, what went wrong.
func TestOnlooker(t *testing.T) {
	var out shown
	o := newOnlooker(console.New(&out, false, nil), demo.NewDirector(nil, nil))
	signal := func(s eventabi.Signal, ms int64, reason string) *wire.Signal {
		return &wire.Signal{Signal: &eventabi.Envelope{Signal: s, TurnID: "t1", RuntimeTimestampMS: ms, Reason: reason}}
	}
	for i, ev := range []client.Event{
		&wire.Speech{Began: true}, &wire.Transcript{From: "caller", Of: "u1", Text: "tell"},
		&wire.Speech{}, signal(eventabi.SignalEndOfUtterance, 1000, ""), signal(eventabi.SignalTurnOpen, 1001, ""),
		signal(eventabi.SignalTurnOpen, 1001, ""), // again, after a resume
		&wire.Transcript{From: "caller", Of: "u1", Text: "tell me", Final: true},
		signal(eventabi.SignalPlaybackStarted, 1250, ""), &wire.Transcript{From: "agent", Of: "t1", Text: "Once upon "},
		&wire.Transcript{From: "agent", Of: "t1", Text: "a time"}, &wire.Speech{Began: true}, signal(eventabi.SignalBargeIn, 2000, ""),
		signal(eventabi.SignalAbort, 2000, "cancelled"), signal(eventabi.SignalPlaybackCancelled, 2001, ""), signal(eventabi.SignalClose, 2002, ""),
		signal(eventabi.SignalReject, 2003, "quota"), &wire.Error{Code: "invalid_field", Message: "text: \x1b[2Jis empty"},
	} {
		o.take(time.Duration(i)*time.Second, ev)
	}
	const want = ` 0:01.000  hearing   tell
 0:04.000  turn 1    active
 0:06.000  caller    tell me
 0:07.000  latency   audio after 250.0 ms
 0:08.000  saying    Once upon
 0:09.000  saying    a time
 0:11.000  barge-in  turn 1 cancelled and fenced
 0:12.000  turn 1    abort: cancelled
 0:13.000  agent     Once upon a time (cut off)
 0:15.000  server    reject: quota
 0:16.000  note      the server refused a message: invalid_field: text: [2Jis empty
`
	if out.String() != want {
		t.Errorf("it shows\n%s\nwant\n%s", &out, want)
	}
	for i := range 3 * mostTurns { // a call of a day
		o.take(0, &wire.Signal{Signal: &eventabi.Envelope{Signal: eventabi.SignalTurnOpen, TurnID: eventabi.TurnID("t" + string(rune('a'+i)))}})
	}
	if len(o.index) > mostTurns {
		t.Errorf("%d turns are kept", len(o.index))
	}
}
