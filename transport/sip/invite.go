// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/parley-voice/parley/transport"
)

const (
	// allow are the methods that are answered.
	allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
	// statusIntervalTooSmall is that of RFC 4028.
	statusIntervalTooSmall = 422
	// beginWithin bounds what the host may take to let a call in.
	beginWithin = 10 * time.Second
	// retryAfter is when a caller who found no room is told to come again.
	retryAfter = "5"
)

// handle tells the library who answers which request.
func (s *Server) handle(server *sipgo.Server) {
	on := func(method sip.RequestMethod, h sipgo.RequestHandler) {
		server.OnRequest(method, func(req *sip.Request, tx sip.ServerTransaction) {
			if req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil || req.Via() == nil {
				s.respond(req, tx, sip.StatusBadRequest, "From, To, Call-ID, CSeq and Via are needed")
				return
			}
			defer s.crashed(req, tx)
			h(req, tx)
		})
	}
	on(sip.INVITE, s.invite)
	on(sip.ACK, s.ack)
	on(sip.BYE, s.bye)
	on(sip.CANCEL, func(req *sip.Request, tx sip.ServerTransaction) { // one of a call that is answered, or is not known
		s.respond(req, tx, sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
	})
	on(sip.OPTIONS, s.options)
	on(sip.INFO, s.info)
	on(sip.UPDATE, s.update)
	server.OnNoRoute(func(req *sip.Request, tx sip.ServerTransaction) {
		s.respond(req, tx, sip.StatusMethodNotAllowed, "Method Not Allowed")
	})
}

// respond answers a request. An answer that cannot be sent is asked for again.
func (s *Server) respond(req *sip.Request, tx sip.ServerTransaction, code int, reason string, headers ...sip.Header) {
	if req.IsAck() {
		return
	}
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	if code == sip.StatusMethodNotAllowed || code == sip.StatusOK {
		res.AppendHeader(sip.NewHeader("Allow", allow))
	}
	for _, h := range headers {
		res.AppendHeader(h)
	}
	if err := tx.Respond(res); err != nil {
		s.log.Debug("sip: an answer was not sent", "code", code, "error", err)
	}
}

func (s *Server) options(req *sip.Request, tx sip.ServerTransaction) {
	s.respond(req, tx, sip.StatusOK, "OK", sip.NewHeader("Accept", "application/sdp, application/dtmf-relay"), sip.NewHeader("Supported", "timer"))
}

// invite answers a call, or a change of one.
func (s *Server) invite(req *sip.Request, tx sip.ServerTransaction) {
	if tag, ok := req.To().Params.Get("tag"); ok && tag != "" {
		s.reinvite(req, tx)
		return
	}
	if list := unknown(req); len(list) > 0 {
		s.turnDown(req, tx, sip.StatusBadExtension, "Bad Extension", sip.NewHeader("Unsupported", strings.Join(list, ", ")))
		return
	}
	user, answer := s.authenticate(context.Background(), req)
	if answer != nil {
		if err := tx.Respond(answer); err != nil {
			s.log.Debug("sip: an answer was not sent", "code", answer.StatusCode, "error", err)
		}
		return
	}
	timer, small := timerOf(req)
	if small {
		s.turnDown(req, tx, statusIntervalTooSmall, "Session Interval Too Small", sip.NewHeader("Min-SE", strconv.Itoa(int(leastExpires.Seconds()))))
		return
	}
	offer, err := readOffer(req.Body(), s.config.Codecs)
	if err != nil {
		s.turnDownFor(req, tx, err)
		return
	}
	c, code, reason := s.enter(req)
	if c == nil {
		s.turnDown(req, tx, code, reason, sip.NewHeader("Retry-After", retryAfter))
		return
	}
	c.offer, c.timer = offer, timer
	if err := s.answer(c, req, tx, user); err != nil {
		c.end()
		c.forget()
		s.turnDownFor(req, tx, err)
	}
}

// enter takes a place for a call, or says why there is none.
func (s *Server) enter(req *sip.Request) (c *call, code int, reason string) {
	id := string(*req.CallID())
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return nil, sip.StatusServiceUnavailable, "Going Down"
	case s.calls[id] != nil:
		// The same call by another way, or an INVITE that was overheard.
		return nil, sip.StatusLoopDetected, "Merged Request"
	case len(s.calls) >= s.config.Calls:
		return nil, sip.StatusServiceUnavailable, "Too Many Calls"
	}
	c = &call{server: s, id: id, over: make(chan struct{}), done: make(chan struct{}), acks: make(chan struct{}, 1)}
	s.calls[id] = c
	return c, 0, ""
}

// answer begins a session for a call and accepts it. Behind an error the call has ended
// and is to be turned down; else it goes on, or has been told so.
func (s *Server) answer(c *call, req *sip.Request, tx sip.ServerTransaction, user string) error {
	l := s.via(req)
	remote, _ := netip.ParseAddrPort(req.Source())
	c.address = s.address(l, remote)
	rtp, rtcp, err := s.ports.open(l.at.Addr())
	if err != nil {
		return &transport.RefusedError{Code: transport.RefusedCapacity, Reason: err.Error()}
	}
	if c.media, err = newMedia(rtp, rtcp, c.offer.agreed, s.config, &s.heard); err != nil {
		_, _ = rtp.Close(), rtcp.Close()
		return err
	}
	if c.dialog, err = l.ua.ReadInvite(req, tx); err != nil {
		return fmt.Errorf("sip: contact: %w: send a Contact", err)
	}
	ctx, stop := context.WithTimeout(c.dialog.Context(), beginWithin)
	defer stop()
	token, err := s.token(ctx, req, user, remote)
	if err != nil {
		return err
	}
	o := transport.Offer{
		Kind: Kind, Token: token, Remote: req.Source(),
		Capabilities: transport.Capabilities{
			CodecsIn: []string{strings.ToLower(string(c.offer.codec))}, CodecsOut: []string{strings.ToLower(string(c.offer.codec))},
			Ack: transport.AckEstimate,
		},
	}
	if _, err := s.host.Begin(ctx, o, c.open); err != nil {
		return err
	}
	s.begun.Add(1)
	if c.offer.held() { // not in open: the session takes nothing before it has begun
		c.tell(func(in transport.Ingress) { in.Muted(true) })
	}
	c.accept(tx)
	return nil
}

// token finds the session token of a call.
func (s *Server) token(ctx context.Context, req *sip.Request, user string, remote netip.AddrPort) (string, error) {
	first := func(name string) string {
		if h := req.GetHeader(name); h != nil {
			return h.Value()
		}
		return ""
	}
	if s.config.Token == nil {
		return first("X-Parley-Token"), nil
	}
	return s.config.Token(ctx, Invite{
		CallID: string(*req.CallID()), From: req.From().Address.User, To: req.To().Address.User, User: user, Remote: remote, Header: first,
	})
}

// turnDown answers a call that does not begin.
func (s *Server) turnDown(req *sip.Request, tx sip.ServerTransaction, code int, reason string, headers ...sip.Header) {
	s.refused.Add(1)
	s.log.Info("sip: a call was turned down", "remote", req.Source(), "code", code, "reason", reason)
	s.respond(req, tx, code, reason, headers...)
}

// turnDownFor answers a call that does not begin because of an error.
func (s *Server) turnDownFor(req *sip.Request, tx sip.ServerTransaction, err error) {
	code, reason := sip.StatusInternalServerError, "Server Internal Error"
	var headers []sip.Header
	warn := func(text string) {
		headers = append(headers, sip.NewHeader("Warning", `399 parley "`+strings.NewReplacer(`"`, "'", `\`, "/", "\r", " ", "\n", " ").Replace(text)+`"`))
	}
	var refused *transport.RefusedError
	switch {
	case errors.Is(err, errOffer):
		code, reason = sip.StatusNotAcceptableHere, "Not Acceptable Here"
		warn(err.Error())
	case errors.As(err, &refused):
		code, reason = statusOf(refused.Code)
		if code == sip.StatusServiceUnavailable {
			headers = append(headers, sip.NewHeader("Retry-After", strconv.Itoa(max(5, int(refused.RetryAfter.Seconds())))))
		}
		warn(refused.Error())
	case errors.Is(err, context.Canceled):
		return // by the caller, who has been answered
	case errors.Is(err, context.DeadlineExceeded):
		code, reason = sip.StatusServiceUnavailable, "Service Unavailable"
	case errors.Is(err, sipgo.ErrDialogInviteNoContact):
		code, reason = sip.StatusBadRequest, "Contact Is Needed"
	}
	s.turnDown(req, tx, code, reason, headers...)
}

// statusOf is the status for an offer that the host turned down.
func statusOf(c transport.RefusalCode) (int, string) {
	switch c {
	case transport.RefusedToken, transport.RefusedExpired, transport.RefusedRevoked, transport.RefusedEpoch:
		return sip.StatusForbidden, "Forbidden"
	case transport.RefusedCodec, transport.RefusedInvalid:
		return sip.StatusNotAcceptableHere, "Not Acceptable Here"
	case transport.RefusedCapacity, transport.RefusedDraining:
		return sip.StatusServiceUnavailable, "Service Unavailable"
	case transport.RefusedUnknown:
		return sip.StatusNotFound, "Not Found"
	case transport.RefusedEnded:
		return sip.StatusGone, "Gone"
	case transport.RefusedInternal:
	}
	return sip.StatusInternalServerError, "Server Internal Error"
}
