// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/parley-voice/parley/internal/serve/servetest"
)

// stranger is a WebSocket that somebody uses who means no good.
func stranger(t *testing.T, p *program, path string, protocols ...string) *ws.Conn {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), p.url+path, &ws.DialOptions{Subprotocols: protocols}) //nolint:bodyclose // it has none
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1 << 24)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// throws writes until it is cut off: false when it never is.
func throws(t *testing.T, c *ws.Conn, most int, what func(n int) (ws.MessageType, []byte)) bool {
	t.Helper()
	for n := range most {
		kind, data := what(n)
		ctx, stop := context.WithTimeout(t.Context(), servetest.Patience)
		err := c.Write(ctx, kind, data)
		stop()
		if err != nil {
			return true
		}
	}
	return false
}

// reads reads until the connection ends, and gives its close code.
func reads(t *testing.T, c *ws.Conn) ws.StatusCode {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), servetest.Patience)
	defer stop()
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return ws.CloseStatus(err)
		}
	}
}

// mangled changes a few bytes of a text.
func mangled(r *rand.Rand, text string) []byte {
	b := []byte(text)
	for range 1 + r.IntN(6) {
		b[r.IntN(len(b))] = byte(r.IntN(256)) //nolint:gosec // a byte
	}
	return b
}

// Strangers at every door at once: those who never read, and those who send what nobody can
// read, are cut off; what they cost comes back, and one who behaves is answered meanwhile.
func TestServeSurvivesStrangers(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sip := packets.LocalAddr().String()
	_ = packets.Close()
	p := serveProcess(t, nil, "--set", "session.max=64", "--set", "log.level=warn", "--set", "sip.listen="+sip)
	t.Run("warm", func(t *testing.T) { listen(t, p).ask(1) })
	until(t, "an empty server", func() bool { return len(p.open(t)) == 0 })
	routines, memory := p.metric(t, "go_goroutines"), p.metric(t, "process_resident_memory_bytes")
	t.Run("all", func(t *testing.T) {
		t.Run("realtime, never reads", func(t *testing.T) { t.Parallel(); unreadRealtime(t, p) })
		for name, at := range map[string]string{"realtime": realtimePath + "?model=x", "rtvi": rtviPath + "ws", "media stream": streamPath} {
			t.Run(name+", nonsense", func(t *testing.T) { t.Parallel(); nonsenseAt(t, p, at) })
		}
		t.Run("sip, nonsense", func(t *testing.T) { t.Parallel(); nonsenseBySIP(t, sip) })
		t.Run("behaves", func(t *testing.T) {
			t.Parallel()
			l := listen(t, p)
			l.ask(1)
			l.ask(2)
		})
	})
	until(t, "the end of all sessions", func() bool { return len(p.open(t)) == 0 })
	until(t, "the end of what served them", func() bool { return p.metric(t, "go_goroutines") < routines+20 })
	if now := p.metric(t, "process_resident_memory_bytes"); now > memory+256<<20 {
		t.Errorf("memory grew from %.0f to %.0f MB", memory/(1<<20), now/(1<<20))
	}
	if n := p.metric(t, "parley_frames_after_fence_total"); n != 0 {
		t.Errorf("%v frames after a fence", n)
	}
	p.signal(t)
	p.ended(t, exitOK)
	if log := p.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		t.Errorf("it panicked:\n%s", log)
	}
}

// unreadRealtime asks again and again for a long item, and reads no answer.
func unreadRealtime(t *testing.T, p *program) {
	t.Helper()
	c := stranger(t, p, realtimePath+"?model=x", "realtime")
	long := `{"type":"conversation.item.create","item":{"id":"long","type":"message","role":"user","content":[{"type":"input_text","text":"` + strings.Repeat("x", 30000) + `"}]}}`
	if !throws(t, c, 200000, func(n int) (ws.MessageType, []byte) {
		if n == 0 {
			return ws.MessageText, []byte(long)
		}
		return ws.MessageText, []byte(`{"type":"conversation.item.retrieve","item_id":"long"}`)
	}) {
		t.Error("who never reads is served for ever")
	}
}

// nonsenseAt sends messages that are nearly right, then such that are not, until it is cut off.
func nonsenseAt(t *testing.T, p *program, path string) {
	t.Helper()
	nearly := []string{
		`{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcm","rate":24000}}}}}`,
		`{"type":"conversation.item.truncate","item_id":"x","content_index":0,"audio_end_ms":-5}`,
		`{"label":"rtvi-ai","type":"client-ready","id":"1","data":{"version":"1.0.0"}}`,
		`{"event":"start","streamSid":"M","start":{"streamSid":"M","callSid":"C","mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000}}}`,
		`{"event":"media","streamSid":"M","media":{"chunk":"1","payload":"AAAA"}}`,
	}
	c := stranger(t, p, path, "realtime")
	closed := make(chan ws.StatusCode, 1)
	go func() { closed <- reads(t, c) }()
	r := rand.New(rand.NewPCG(uint64(len(path)), 7)) //nolint:gosec // of a test
	throws(t, c, 2000, func(n int) (ws.MessageType, []byte) {
		switch n % 4 {
		case 0:
			return ws.MessageText, bytes.ToValidUTF8(mangled(r, nearly[r.IntN(len(nearly))]), []byte("?"))
		case 1:
			return ws.MessageBinary, mangled(r, nearly[r.IntN(len(nearly))])
		case 2:
			return ws.MessageText, []byte(strings.Repeat("[", 60000))
		}
		return ws.MessageText, []byte(nearly[r.IntN(len(nearly))])
	})
	throws(t, c, 2000, func(int) (ws.MessageType, []byte) { return ws.MessageText, []byte("{") })
	select {
	case code := <-closed:
		if code == ws.StatusInternalError {
			t.Errorf("it is closed with %d", code)
		}
	case <-time.After(servetest.Patience):
		t.Error("who talks nonsense is never cut off")
	}
}

// nonsenseBySIP sends every beginning of an INVITE, and ones that are mangled, by UDP and TCP.
func nonsenseBySIP(t *testing.T, address string) {
	t.Helper()
	invite := "INVITE sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1\r\nFrom: <sip:x@127.0.0.1>;tag=1\r\nTo: <sip:a@127.0.0.1>\r\n" +
		"Call-ID: stranger\r\nCSeq: 1 INVITE\r\nContact: <sip:x@127.0.0.1:9>\r\nContent-Type: application/sdp\r\nContent-Length: 500\r\n\r\nv=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
	var all sync.WaitGroup
	for _, network := range []string{"udp", "tcp"} {
		all.Go(func() {
			r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // of a test
			var c net.Conn
			for n := range len(invite) {
				for _, data := range [][]byte{[]byte(invite[:n]), mangled(r, invite)} {
					for tries := 0; c == nil && tries < 100; tries++ {
						var err error
						if c, err = net.Dial(network, address); err != nil {
							c = nil
							time.Sleep(10 * time.Millisecond)
						}
					}
					if c == nil {
						t.Errorf("%s: nobody listens any more", network)
						return
					}
					if _, err := c.Write(data); err != nil || network == "tcp" {
						_ = c.Close() // it was cut off, or begins anew
						c = nil
					}
				}
				if n%100 == 0 {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	if c, err := net.Dial("tcp", address); err != nil {
		t.Error(err)
	} else {
		fmt.Fprintf(c, "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK2\r\nFrom: <sip:x@127.0.0.1>;tag=1\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: still\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(servetest.Patience))
		answer := make([]byte, 64)
		n, err := c.Read(answer)
		if err != nil || !bytes.Contains(answer[:n], []byte("200 OK")) {
			t.Errorf("who behaves is answered %q, %v", answer[:n], err)
		}
		_ = c.Close()
	}
}
