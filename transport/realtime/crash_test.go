// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/realtime"
	"github.com/parley-voice/parley/transport/transporttest"
)

// frail is a host whose sessions panic at an item of the conversation.
type frail struct{ *transporttest.Host }

type frailIngress struct{ transport.Ingress }

func (frailIngress) Context(transport.Context) { panic("a test's") }

func (f frail) Begin(ctx context.Context, o transport.Offer, open transport.OpenFunc) (transport.Session, error) {
	return f.Host.Begin(ctx, o, func(ctx context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
		return open(ctx, b, frailIngress{in})
	})
}

// An event that makes something panic costs its client the connection, and its session
// learns of it.
func TestPanicEndsAtTheSession(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{Disconnect: 50 * time.Millisecond})
	s, err := realtime.New(realtime.Config{}, frail{host})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(s)
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.Start()
	t.Cleanup(web.Close)
	c := dial(t, "ws"+strings.TrimPrefix(web.URL, "http")+"/v1/realtime?model=test", nil)
	c.send(event{"type": "session.update", "session": event{"type": "realtime"}})
	session := host.Next()
	c.send(event{"type": "conversation.item.create", "item": event{
		"type": "message", "role": "user", "content": []event{{"type": "input_text", "text": "harmless"}},
	}})
	transporttest.Await(session, func(l transport.LinkState) bool { return l == transport.LinkGone })
	session.AwaitDone()
}
