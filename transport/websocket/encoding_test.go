// SPDX-License-Identifier: Apache-2.0

package websocket_test

import (
	"slices"
	"testing"

	coder "github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport/transporttest"
	"github.com/parley-voice/parley/transport/websocket"
)

// TestEncodingIsNegotiated shows that the server answers in the encoding that hello names, or
// else in that of hello; also when it refuses.
func TestEncodingIsNegotiated(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	for _, c := range []struct {
		said   coder.MessageType
		named  string
		answer coder.MessageType
		is     string
	}{
		{coder.MessageText, "", coder.MessageText, "json"},
		{coder.MessageText, "json", coder.MessageText, "json"},
		{coder.MessageText, "binary", coder.MessageBinary, "binary"},
		{coder.MessageBinary, "", coder.MessageBinary, "binary"},
		{coder.MessageBinary, "binary", coder.MessageBinary, "binary"},
		{coder.MessageBinary, "json", coder.MessageText, "json"},
	} {
		for _, token := range []string{transporttest.Token, "wrong"} {
			p := w.dial(nil, "")
			p.sayIn(c.said, &wire.Hello{Token: token, Encoding: c.named})
			if token == "wrong" {
				if r := await[*wire.Refused](p, nil); r.Code != "token_invalid" {
					t.Errorf("%+v: %+v", c, r)
				}
			} else if m := await[*wire.Welcome](p, nil); m.Encoding != c.is {
				t.Errorf("%+v: welcome says %s", c, m.Encoding)
			}
			p.mu.Lock()
			if p.kinds[0] != c.answer {
				t.Errorf("%+v: the answer to %s is %v", c, token, p.kinds[0])
			}
			p.mu.Unlock()
		}
	}
}

// TestBothEncodingsAreHeard shows that what was agreed binds the server alone: each frame says
// itself what it is.
func TestBothEncodingsAreHeard(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	p, s, _ := w.enter(wire.Hello{})
	p.sayIn(coder.MessageBinary, &wire.Text{Text: "binary", Keyed: wire.Keyed{Key: "k1"}})
	p.sayIn(coder.MessageText, &wire.Text{Text: "json", Keyed: wire.Keyed{Key: "k1"}})
	p.sayIn(coder.MessageText, &wire.Text{Text: "last", Keyed: wire.Keyed{Key: "k2"}})
	transporttest.Await(s, func(m transporttest.Text) bool { return m.Text == "last" })
	if got := transporttest.Came[transporttest.Text](s); len(got) != 2 || got[0].Text != "binary" {
		t.Errorf("a key counts in both encodings: came %+v", got)
	}
}

// TestResumeInAnotherEncoding shows that a client may come back in the other encoding: what it
// has missed is said in that one.
func TestResumeInAnotherEncoding(t *testing.T) {
	for _, back := range []coder.MessageType{coder.MessageText, coder.MessageBinary} {
		w := newWorld(t, websocket.Config{}, transporttest.Config{})
		first := w.dial(nil, "")
		away := coder.MessageText
		if back == coder.MessageText {
			away = coder.MessageBinary
		}
		first.sayIn(away, &wire.Hello{Token: transporttest.Token})
		welcome := await[*wire.Welcome](first, nil)
		s := w.host.Next()
		_ = first.ws.CloseNow()
		<-first.done
		s.Emit(eventabi.SignalSilence, "", "missed")
		second := w.dial(nil, "")
		second.sayIn(back, &wire.Hello{Token: transporttest.Token, Resume: &wire.Resume{Session: welcome.Session}})
		await(second, func(m *wire.Signal) bool { return m.Signal.Reason == "missed" })
		second.mu.Lock()
		if slices.ContainsFunc(second.kinds, func(k coder.MessageType) bool { return k != back }) {
			t.Errorf("frames are %v, not all %v", second.kinds, back)
		}
		second.mu.Unlock()
	}
}
