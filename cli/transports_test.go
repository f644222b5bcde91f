// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/internal/serve/servetest"
	"github.com/parley-voice/parley/internal/voices"
)

// developmentToken asks for a token as the page does.
func (p *program) developmentToken(t *testing.T, kind string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/api/token", strings.NewReader(`{"transport_kind":"`+kind+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	var out struct{ Token string }
	if err := json.NewDecoder(a.Body).Decode(&out); err != nil || out.Token == "" {
		t.Fatalf("%d: no token: %v", a.StatusCode, err)
	}
	return out.Token
}

// speak sends a person's recording at the pace of speech, and silence behind it until it is
// stopped.
func speak(ctx context.Context, t *testing.T, c *client.Client, voice string) {
	t.Helper()
	v, err := voices.Lookup(voice)
	if err != nil {
		t.Fatal(err)
	}
	clip, err := v.Clip()
	if err != nil {
		t.Fatal(err)
	}
	const frame = 320
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		pcm, sound := clip.PCM, make([]int16, frame)
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				clear(sound)
				pcm = pcm[copy(sound, pcm):]
				_ = c.SendAudio(sound) // a session that has ended hears nothing
				c.ReadAudio(make([]int16, frame))
			}
		}
	}()
}

// A person speaks to the program by its own protocol, with the token that the page gets, and
// is answered; what was heard is what the client played.
func TestServeWebSocket(t *testing.T) {
	p := serveProcess(t, nil)
	c, err := client.Dial(t.Context(), client.Config{
		URL:   "ws" + strings.TrimPrefix(p.url, "http") + websocketPath,
		Token: func(context.Context) (string, error) { return p.developmentToken(t, "websocket"), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), servetest.Patience)
	defer stop()
	speak(ctx, t, c, "young-man")
	heard, said, completed := "", "", false
	for !completed {
		select {
		case <-ctx.Done():
			t.Fatalf("it heard %q and said %q\n%s", heard, said, p.log.String())
		case e := <-c.Events():
			switch e := e.(type) {
			case *wire.Transcript:
				if e.From == "caller" { // a busy machine may have no time for the final one
					heard = e.Text
				} else if e.From == "agent" {
					said += e.Text
				}
			case *wire.Signal:
				completed = e.Signal.Signal == eventabi.SignalPlaybackCompleted
			case *client.Ended:
				t.Fatalf("it ended: %+v", e)
			}
		}
	}
	if heard == "" || said == "" {
		t.Errorf("it heard %q and said %q", heard, said)
	}
	if code, body := p.get(t, "/api/sessions/"+string(c.Session())); code != 200 || !strings.Contains(body, `"transport_kind":"websocket"`) || !strings.Contains(body, `"turns":1`) {
		t.Errorf("%d %s", code, body)
	}
	if _, metrics := p.get(t, "/metrics"); !strings.Contains(metrics, "parley_frames_after_fence_total 0") || !strings.Contains(metrics, `parley_first_audio_seconds_count{transport="websocket"} 1`) {
		t.Errorf("the metrics:\n%s", metrics)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	p.signal(t)
	p.ended(t, exitOK)
}

// Each transport is where the manual says, checks the token, and begins a session with one.
func TestServeTransports(t *testing.T) {
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.pem")
	if r := runParley(t, "", "token", "keygen", "--out", keys); r.code != exitOK {
		t.Fatal(r.errOut)
	}
	p := serveProcess(t, []string{"OPERATOR=the-secret-of-the-operator"},
		"--set", "auth.mode=token", "--set", "auth.keys=file://"+keys, "--set", "auth.operator_token=env://OPERATOR", "--set", "sip.listen=127.0.0.1:0")
	for _, want := range []string{websocketPath, realtimePath, streamPath, "SIP at 127.0.0.1:0"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("it does not tell of %s:\n%s", want, p.out.String())
		}
	}
	issue := func(kind, session string) string {
		r := runParley(t, "", "token", "issue", "--keys", "file://"+keys, "--transport", kind, "--session", session)
		return strings.TrimSpace(r.out)
	}
	connect := func(path, token string, protocols ...string) *websocket.Conn {
		header := http.Header{}
		if token != "" {
			header.Set("Authorization", "Bearer "+token)
		}
		c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.url, "http")+path, &websocket.DialOptions{HTTPHeader: header, Subprotocols: protocols})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		t.Cleanup(func() { _ = c.CloseNow() })
		c.SetReadLimit(1 << 20)
		return c
	}
	read := func(c *websocket.Conn, want string) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), servetest.Patience)
		defer stop()
		for {
			_, data, err := c.Read(ctx)
			if err != nil {
				t.Errorf("%q does not come: %v", want, err)
				return
			}
			if strings.Contains(string(data), want) {
				return
			}
		}
	}
	write := func(c *websocket.Conn, text string) {
		t.Helper()
		if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	read(connect(realtimePath+"?model=x", "", "realtime"), `"error"`)
	c := connect(realtimePath+"?model=x", issue("realtime", "r-1"), "realtime")
	read(c, `"session.created"`)
	write(c, `{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"what time is it"}]}}`)
	write(c, `{"type":"response.create"}`)
	read(c, `"response.created"`)
	c = connect(streamPath, "")
	write(c, `{"event":"connected","protocol":"Call","version":"1.0.0"}`)
	write(c, `{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],`+
		`"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"token":"`+issue("telephony", "t-1")+`"}}}`)
	for id, kind := range map[string]string{"r-1": "realtime", "t-1": "telephony"} {
		for end := time.Now().Add(servetest.Patience); ; time.Sleep(10 * time.Millisecond) {
			code, body := p.get(t, "/api/sessions/"+id, "Authorization", "Bearer the-secret-of-the-operator")
			if code == 200 && strings.Contains(body, `"transport_kind":"`+kind+`"`) && strings.Contains(body, `"state":"running"`) {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%s does not run: %d %s\n%s", id, code, body, p.log.String())
				break
			}
		}
	}
	p.signal(t)
	p.ended(t, exitOK)
}

// The configuration says which transports there are.
func TestMounts(t *testing.T) {
	count := func(change func(*serve.Config)) (list []string) {
		c := serve.Default()
		change(c)
		for _, m := range mounts(c) {
			list = append(list, m.Path)
		}
		return list
	}
	if got := strings.Join(count(func(*serve.Config) {}), " "); got != websocketPath+" "+realtimePath+" "+rtviPath+" "+streamPath {
		t.Errorf("by default: %s", got)
	}
	got := count(func(c *serve.Config) {
		c.Transports.WebSocket, c.Transports.Realtime, c.Transports.RTVI = false, false, false
		c.Transports.Twilio, c.SIP.Listen = "env://TWILIO", "127.0.0.1:0"
	})
	if strings.Join(got, " ") != streamPath+" "+voicePath+" " {
		t.Errorf("for telephones: %q", got)
	}
}
