// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

// frail is a host whose sessions panic when a key is pressed.
type frail struct{ *transporttest.Host }

type frailIngress struct{ transport.Ingress }

func (frailIngress) Control(transport.Control) { panic("a test's") }

func (f frail) Begin(ctx context.Context, o transport.Offer, open transport.OpenFunc) (transport.Session, error) {
	return f.Host.Begin(ctx, o, func(ctx context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
		return open(ctx, b, frailIngress{in})
	})
}

// TestPanicEndsAtTheCall: a message that makes something panic costs its call, whose session
// learns of it.
func TestPanicEndsAtTheCall(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{Disconnect: 50 * time.Millisecond})
	s, err := New(Config{}, frail{host})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(s)
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.Start()
	t.Cleanup(web.Close)
	g := dial(t, "ws"+strings.TrimPrefix(web.URL, "http"), Twilio, nil)
	g.start(transporttest.Token)
	session := host.Next()
	g.send(`{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":"5"}}`)
	transporttest.Await(session, func(l transport.LinkState) bool { return l == transport.LinkGone })
	session.AwaitDone()
}

// TestLongChunksMissing: however long a gateway's chunks are, a jump of their number stands
// for so much silence and no more.
func TestLongChunksMissing(t *testing.T) {
	_, host, address := serve(t, Config{}, transporttest.Config{})
	g := dial(t, address, Twilio, nil)
	g.start(transporttest.Token)
	session := host.Next()
	g.speak(make([]byte, 16000)) // 2 s
	g.chunks += 200
	g.speak(make([]byte, 160))
	if gap := transporttest.Await[transport.Gap](session, nil); gap.Missing != 10*transport.SampleRate {
		t.Errorf("a gap of %d samples", gap.Missing)
	}
}
