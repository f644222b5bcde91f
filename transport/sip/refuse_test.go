// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

// TestTurnedDown: each way in which a call does not begin has its status.
func TestTurnedDown(t *testing.T) {
	s, host := serve(t, Config{}, transporttest.Config{Authenticate: func(o transport.Offer) (transport.Bootstrap, error) {
		if o.Token == "broken" {
			return transport.Bootstrap{}, errors.New("inside")
		}
		return transport.Bootstrap{}, &transport.RefusedError{Code: transport.RefusalCode(o.Token)}
	}})
	p := newPhone(t, s, "udp")
	for _, c := range []struct {
		name   string
		body   []byte
		header sip.Header
		status int
	}{
		{"token", p.offer(), bearing("token_invalid"), 403},
		{"full", p.offer(), bearing("capacity"), 503},
		{"draining", p.offer(), bearing("draining"), 503},
		{"unknown", p.offer(), bearing("unknown_session"), 404},
		{"ended", p.offer(), bearing("session_ended"), 410},
		{"inside", p.offer(), bearing("broken"), 500},
		{"codec", described("m=audio 4000 RTP/AVP 18"), bearing("x"), 488},
		{"garbage", []byte("hello"), bearing("x"), 488},
		{"no offer", []byte{}, bearing("x"), 488},
		{"extension", p.offer(), sip.NewHeader("Require", "100rel, timer"), 420},
		{"short timer", p.offer(), sip.NewHeader("Session-Expires", "30"), 422},
	} {
		ctx, stop := context.WithTimeout(t.Context(), patience)
		if status := p.dial(ctx, c.body, sipgo.AnswerOptions{}, c.header); status != c.status {
			t.Errorf("%s: %d; want %d", c.name, status, c.status)
		}
		stop()
		res := p.session.InviteResponse
		for name, want := range map[int]string{420: "Unsupported", 422: "Min-SE", 503: "Retry-After", 488: "Warning"} {
			if name == c.status && res.GetHeader(want) == nil {
				t.Errorf("%s: no %s in\n%s", c.name, want, res)
			}
		}
		if strings.Contains(res.String(), "inside") {
			t.Errorf("%s: tells too much:\n%s", c.name, res)
		}
	}
	if n := s.Stats(); n.Open != 0 || n.Refused != 11 || len(host.Sessions()) != 0 {
		t.Errorf("%+v, %d sessions", n, len(host.Sessions()))
	}
}

// TestPassword: who gives the password of a user is let in as that user; the challenge is
// no refusal.
func TestPassword(t *testing.T) {
	var invited Invite
	s, host := serve(t, Config{
		Algorithms: []string{"SHA-256", "MD5"},
		Password:   func(_ context.Context, user string) (string, bool) { return "open sesame", user == "alice" },
		Token: func(_ context.Context, i Invite) (string, error) {
			invited = i
			return transporttest.Token, nil
		},
	}, transporttest.Config{})
	for _, c := range []struct {
		user, password string
		status         int
	}{{"alice", "open sesame", 200}, {"alice", "open", 401}, {"bob", "open sesame", 401}, {"", "", 401}} {
		p := newPhone(t, s, "udp")
		ctx, stop := context.WithTimeout(t.Context(), patience)
		status := p.dial(ctx, p.offer(), sipgo.AnswerOptions{Username: c.user, Password: c.password}, sip.NewHeader("X-Account", "7"))
		stop()
		if status != c.status {
			t.Errorf("%s with %q: %d; want %d", c.user, c.password, status, c.status)
		}
	}
	if invited.User != "alice" || invited.To != "agent" || invited.CallID == "" || invited.Header("x-account") != "7" || invited.Header("x-none") != "" || !invited.Remote.Addr().IsLoopback() {
		t.Errorf("invite %+v", invited)
	}
	if n := s.Stats(); n.Refused != 0 || n.Calls != 1 {
		t.Errorf("%+v", n)
	}
	host.Next().Close("enough")
}

// TestCancelled: a caller who hangs up before the answer has no session, or one that is
// told so.
func TestCancelled(t *testing.T) {
	began := make(chan struct{})
	s, host := serve(t, Config{Token: func(ctx context.Context, _ Invite) (string, error) {
		close(began)
		<-ctx.Done() // the CANCEL ends it
		return "", ctx.Err()
	}}, transporttest.Config{})
	p := newPhone(t, s, "udp")
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	go func() {
		<-began
		time.Sleep(300 * time.Millisecond) // the 100, which must come before a CANCEL, is sent after 200 ms
		stop()
	}()
	if status := p.dial(ctx, p.offer(), sipgo.AnswerOptions{}); status == 200 {
		t.Error("the call was answered")
	}
	p.until("the end", func() bool { return s.Stats().Open == 0 })
	if n := len(host.Sessions()); n != 0 {
		t.Errorf("%d sessions began", n)
	}
}

// TestBounds: no more calls than are allowed, and none twice.
func TestBounds(t *testing.T) {
	s, host := serve(t, Config{Calls: 1}, transporttest.Config{})
	p := newPhone(t, s, "udp")
	session := p.call(host)
	q := newPhone(t, s, "udp")
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if status := q.dial(ctx, q.offer(), sipgo.AnswerOptions{}, bearing(transporttest.Token)); status != 503 {
		t.Errorf("a second call: %d", status)
	}
	id := *p.session.InviteRequest.CallID()
	if status := q.dial(ctx, q.offer(), sipgo.AnswerOptions{}, bearing(transporttest.Token), &id); status != 482 {
		t.Errorf("the same call again: %d", status)
	}
	session.Close("enough")
	status := 503
	for status == 503 && ctx.Err() == nil { // its place is free when its goodbye was answered
		status = q.dial(ctx, q.offer(), sipgo.AnswerOptions{}, bearing(transporttest.Token))
	}
	if status != 200 {
		t.Errorf("behind the first call: %d", status)
	}
	host.Next().Close("enough")
}

// raw sends text to the server's UDP port and gives what comes back first.
func raw(t *testing.T, s *Server, text string) string {
	t.Helper()
	conn, err := net.Dial("udp", s.Addr("udp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	at := netip.MustParseAddrPort(conn.LocalAddr().String())
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\n", "\r\n"), "HERE", at.String())
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return string(answer[:n])
}

// TestByHand: requests that no library makes are answered, and end nothing.
func TestByHand(t *testing.T) {
	s, host := serve(t, Config{}, transporttest.Config{})
	ask := func(method, more string) string {
		return fmt.Sprintf("%s sip:agent@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP HERE;branch=z9hG4bK%d\n%sContent-Length: 0\n\n", method, time.Now().UnixNano(), more)
	}
	whoAll := "From: <sip:a@b>;tag=1\nTo: <sip:c@d>;tag=2\nCall-ID: none\nMax-Forwards: 70\n"
	for _, c := range []struct{ text, want string }{
		{ask("OPTIONS", "From: <sip:a@b>;tag=1\nTo: <sip:c@d>\nCall-ID: o\nCSeq: 1 OPTIONS\n"), "SIP/2.0 200 OK"},
		{ask("REGISTER", "From: <sip:a@b>;tag=1\nTo: <sip:c@d>\nCall-ID: r\nCSeq: 1 REGISTER\n"), "SIP/2.0 405 "},
		{ask("BYE", whoAll+"CSeq: 1 BYE\n"), "SIP/2.0 481 "},
		{ask("UPDATE", whoAll+"CSeq: 1 UPDATE\n"), "SIP/2.0 481 "},
		{ask("INFO", whoAll+"CSeq: 1 INFO\n"), "SIP/2.0 481 "},
		{ask("INVITE", whoAll+"CSeq: 1 INVITE\n"), "SIP/2.0 481 "},
		{ask("CANCEL", whoAll+"CSeq: 1 CANCEL\n"), "SIP/2.0 481 "},
		{ask("INVITE", "From: <sip:a@b>;tag=1\nCall-ID: x\nCSeq: 1 INVITE\n"), "SIP/2.0 400 "},
		{ask("BYE", "CSeq: 1 BYE\n"), "SIP/2.0 400 "},
		{ask("INVITE", "From: <sip:a@b>;tag=1\nTo: <sip:c@d>\nCSeq: 1 INVITE\n"), "SIP/2.0 400 "},
	} {
		if got := raw(t, s, c.text); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s\ngot %s", c.text, got)
		}
	}
	for _, text := range []string{"garbage", "\r\n\r\n", "ACK sip:a@b SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n", strings.Repeat("x", 60000)} {
		conn, err := net.Dial("udp", s.Addr("udp").String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(text))
		_ = conn.Close()
	}
	p := newPhone(t, s, "udp")
	p.call(host).Close("and calls are answered as before")
}

// TestStrangers: who may not call gets no answer at all.
func TestStrangers(t *testing.T) {
	s, _ := serve(t, Config{Peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, transporttest.Config{})
	mute, err := net.Dial("udp", s.Addr("udp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	_, _ = mute.Write([]byte("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"))
	_ = mute.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := mute.Read(make([]byte, 1500)); err == nil {
		t.Errorf("a stranger got an answer of %d bytes", n)
	}
	conn, err := net.Dial("tcp", s.Addr("tcp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stranger's connection: %v; want that it is closed", err)
	}
	if n := s.Stats(); n.Strangers < 2 {
		t.Errorf("%+v", n)
	}
}

// TestSessionTimer: a call that its caller does not refresh is over, and one that is ours to
// refresh is.
func TestSessionTimer(t *testing.T) {
	s, host := serve(t, Config{}, transporttest.Config{})
	for who, header := range map[string]string{"uac": "1800;refresher=uac", "uas": "1800;refresher=uas"} {
		p := newPhone(t, s, "udp")
		ctx, stop := context.WithTimeout(t.Context(), patience)
		status := p.dial(ctx, p.offer(), sipgo.AnswerOptions{}, bearing(transporttest.Token), sip.NewHeader("Session-Expires", header), sip.NewHeader("Supported", "timer"))
		stop()
		if status != 200 || p.session.InviteResponse.GetHeader("Session-Expires").Value() != header {
			t.Fatalf("%s: %d\n%s", who, status, p.session.InviteResponse)
		}
		session := host.Next()
		s.mu.Lock()
		c := s.calls[string(*p.session.InviteRequest.CallID())]
		s.mu.Unlock()
		c.expired()
		if who == "uas" {
			p.until("UPDATE", func() bool { return p.updates == 1 })
			session.Close("enough")
			continue
		}
		if state := transporttest.Await[transport.LinkState](session, nil); state != transport.LinkGone {
			t.Errorf("link %s", state)
		}
		session.Close("gone")
	}
}

// TestServerEnds: when the server ends, sessions learn it, and callers hear a BYE.
func TestServerEnds(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{Disconnect: time.Millisecond})
	s, err := New(Config{UDP: "127.0.0.1:0", TCP: "off", Lowest: 34000, Highest: 34999}, host)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	p := newPhone(t, s, "udp")
	session := p.call(host)
	stop()
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
	session.AwaitDone()
	p.until("BYE", func() bool { return len(p.byes) == 1 })
	if n := s.Stats().Open; n != 0 {
		t.Errorf("%d calls are open", n)
	}
}
