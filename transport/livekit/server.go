// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

const (
	// beginWithin bounds how long a session may take to begin, or to take a caller back.
	beginWithin = 30 * time.Second
	// The pause before a room is joined again that could not be, or whose caller was turned
	// down: doubled each time, to a bound.
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// Stats are what a Server counted.
type Stats struct {
	Rooms     int64 // that the agent is in, now
	Calls     int64 // sessions that began
	Refused   int64 // callers who were turned down
	Lost      int64 // connections that were lost, whether they came back or not
	Packets   int64 // of RTP that were taken
	Foreign   int64 // packets of RTP and of data that are not the caller's
	Malformed int64 // packets of RTP and of data, and signalling, that could not be read
	Late      int64 // packets of RTP that came twice or too late
	Overflow  int64 // what came faster than it could be taken
	Unsent    int64 // packets of data that the room had no way for
}

// counts are the counters behind Stats.
type counts struct {
	rooms, calls, refused, lost, packets, foreign, malformed, late, overflow, unsent atomic.Int64
}

// Server takes part in rooms. Its methods may be called from any goroutine.
type Server struct {
	config Config
	host   transport.Host
	log    *slog.Logger
	counts counts
	dial   dialer
}

// New makes a Server that begins the sessions of its calls with host.
func New(c Config, host transport.Host) (*Server, error) {
	err := c.Validate()
	if host == nil {
		err = errors.Join(err, errors.New("livekit: host: nil: give the one that begins sessions"))
	}
	if err != nil {
		return nil, err
	}
	c = c.withDefaults()
	s := &Server{config: c, host: host, log: c.Log}
	s.dial = func(ctx context.Context, name string, e events) (room, error) {
		return join(ctx, s.config, name, e, &s.counts)
	}
	if u, err := address(c.URL); err == nil && open(u) {
		s.log.Warn("livekit: what is said, and the token for the room, can be read on the way: use wss", "url", c.URL)
	}
	return s, nil
}

// Stats gives what was counted.
func (s *Server) Stats() Stats {
	n := &s.counts
	return Stats{
		Rooms: n.rooms.Load(), Calls: n.calls.Load(), Refused: n.refused.Load(), Lost: n.lost.Load(), Packets: n.packets.Load(),
		Foreign: n.foreign.Load(), Malformed: n.malformed.Load(), Late: n.late.Load(), Overflow: n.overflow.Load(), Unsent: n.unsent.Load(),
	}
}

// capabilities are those of each link.
func capabilities() transport.Capabilities {
	return transport.Capabilities{
		CodecsIn: []string{codec.NameOpus}, CodecsOut: []string{codec.NameOpus}, Text: true, Resumes: true, BuffersOutput: true,
		Ack: transport.AckEstimate,
	}
}

// Serve is in the configured rooms until ctx ends: in each it talks with one caller after the
// other. Calls that are open then are told that the link is gone; their sessions close them.
func (s *Server) Serve(ctx context.Context) error {
	var all sync.WaitGroup
	for _, name := range s.config.Rooms {
		all.Go(transport.Contain(nil, func() { s.stay(ctx, name) }))
	}
	<-ctx.Done()
	all.Wait()
	return nil
}

// stay joins a room again and again.
func (s *Server) stay(ctx context.Context, name string) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := s.Join(ctx, name)
		if ctx.Err() != nil {
			return
		}
		wait := time.Duration(0)
		if err != nil {
			wait = pause
			var refused *transport.RefusedError
			if errors.As(err, &refused) {
				wait = max(wait, refused.RetryAfter)
			}
			s.log.Warn("livekit: a room is joined again soon", "room", name, "in", wait, "error", err)
		}
		if pause *= 2; err == nil || time.Since(began) > longestPause {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(max(wait, firstPause/4)):
		}
		pause = min(pause, longestPause)
	}
}

// Join goes into a room, waits for somebody to talk to, and returns when the session with
// them is over and the room was left; nil when it went as it should. When ctx ends, a session
// that is open is told that its link is gone. An error wraps a *transport.RefusedError when the caller
// was turned down, and ErrCredentials when LiveKit turned the agent down.
func (s *Server) Join(ctx context.Context, name string) error {
	if name == "" || len(name) > longestID {
		return fmt.Errorf("livekit: room: %q: use a name of 1 to %d bytes", name, longestID)
	}
	c := newCall(s, name)
	within, stop := context.WithTimeout(ctx, s.config.Connect)
	r, err := s.dial(within, name, c)
	stop()
	if err != nil {
		return err
	}
	s.counts.rooms.Add(1)
	defer s.counts.rooms.Add(-1)
	session, err := s.begin(ctx, c, r)
	if err != nil {
		out, stop := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
		defer stop()
		c.part(out)
		return err
	}
	s.attend(ctx, c, session)
	return nil
}

// begin waits for a caller and begins the session with them.
func (s *Server) begin(ctx context.Context, c *call, r room) (transport.Session, error) {
	c.enter(r)
	who, err := c.await(ctx)
	if err != nil {
		return nil, err
	}
	within, stop := context.WithTimeout(ctx, beginWithin)
	defer stop()
	token, err := s.token(within, who)
	var session transport.Session
	if err == nil {
		session, err = s.host.Begin(within, transport.Offer{
			Kind: Kind, Token: token, Remote: "room " + who.Room + ", " + who.Identity, Capabilities: capabilities(),
		}, c.open)
	}
	if err != nil {
		s.counts.refused.Add(1)
		return nil, fmt.Errorf("livekit: room %q: %q was turned down: %w", who.Room, who.Identity, err)
	}
	s.counts.calls.Add(1)
	c.began()
	return session, nil
}

func (s *Server) token(ctx context.Context, who Caller) (string, error) {
	if s.config.Token == nil {
		return "", nil
	}
	return s.config.Token(ctx, who)
}

// attend follows a session to its end, and lets a caller back in who was lost.
func (s *Server) attend(ctx context.Context, c *call, session transport.Session) {
	ended := ctx.Done()
	refused := "" // the stay that was turned down
	for {
		select {
		case <-session.Done():
			return
		case <-ended:
			ended = nil
			c.mu.Lock()
			c.final(transport.LinkGone)
			c.mu.Unlock()
		case <-c.changed:
			c.mu.Lock()
			p := c.returning()
			var who Caller
			if p != nil {
				who = c.callerOf(p)
			}
			c.mu.Unlock()
			if p == nil || p.SID == refused {
				continue
			}
			if err := s.readmit(ctx, session.ID(), who); err != nil {
				refused = p.SID
				s.log.Warn("livekit: a caller was not taken back", "room", c.name, "caller", who.Identity, "error", err)
				continue
			}
			c.back(p.SID)
		}
	}
}

func (s *Server) readmit(ctx context.Context, id eventabi.SessionID, who Caller) error {
	within, stop := context.WithTimeout(ctx, beginWithin)
	defer stop()
	token, err := s.token(within, who)
	if err != nil {
		return err
	}
	return s.host.Readmit(within, id, token)
}

// talks says whether somebody may be the caller.
func (s *Server) talks(p *roomproto.Participant) bool {
	if s.config.Participant != "" {
		return p.Identity == s.config.Participant
	}
	return p.Kind == roomproto.KindStandard || p.Kind == roomproto.KindSIP || p.Kind == roomproto.KindConnector
}
