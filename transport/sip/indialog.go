// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/parley-voice/parley/transport"
)

// find gives the call of a request, nil when there is none: then the request was answered.
func (s *Server) find(req *sip.Request, tx sip.ServerTransaction) *call {
	id, err := sip.DialogIDFromRequestUAS(req)
	s.mu.Lock()
	c := s.calls[string(*req.CallID())]
	s.mu.Unlock()
	if err == nil && c != nil && c.accepted() && c.dialog.ID == id {
		return c
	}
	s.respond(req, tx, sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
	return nil
}

// accepted says whether the 200 of a call is on its way.
func (c *call) accepted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered
}

func (s *Server) ack(req *sip.Request, tx sip.ServerTransaction) {
	if c := s.find(req, tx); c != nil {
		c.acked.Store(req.CSeq().SeqNo)
		select {
		case c.acks <- struct{}{}:
		default:
		}
		if err := c.dialog.ReadAck(req, tx); err != nil {
			s.log.Debug("sip: an ACK does not fit", "call", c.id, "error", err)
		}
	}
}

func (s *Server) bye(req *sip.Request, tx sip.ServerTransaction) {
	c := s.find(req, tx)
	if c == nil {
		return
	}
	if err := c.dialog.ReadBye(req, tx); err != nil {
		s.respond(req, tx, sip.StatusInternalServerError, "CSeq Out Of Order")
		return
	}
	c.left(transport.LinkLeft)
}

// info takes a key that is sent as a message.
func (s *Server) info(req *sip.Request, tx sip.ServerTransaction) {
	c := s.find(req, tx)
	if c == nil {
		return
	}
	kind := ""
	if h := req.ContentType(); h != nil {
		kind, _, _ = strings.Cut(strings.ToLower(h.Value()), ";")
	}
	switch kind {
	case "":
		s.respond(req, tx, sip.StatusOK, "OK")
	case "application/dtmf-relay", "application/dtmf":
		p, ok := relay(req.Body())
		if !ok {
			s.respond(req, tx, sip.StatusBadRequest, "Signal Is No Key")
			return
		}
		s.respond(req, tx, sip.StatusOK, "OK")
		c.control(p)
	default:
		s.respond(req, tx, sip.StatusUnsupportedMediaType, "Unsupported Media Type", sip.NewHeader("Accept", "application/dtmf-relay, application/dtmf"))
	}
}

// reinvite answers an INVITE within a call: a refresh, another address, hold, resume.
func (s *Server) reinvite(req *sip.Request, tx sip.ServerTransaction) {
	c := s.find(req, tx)
	if c == nil {
		return
	}
	res := c.change(req, tx)
	if res == nil {
		return
	}
	// The 200 is ours to send again until the ACK (RFC 3261, section 13.3.1.4).
	wait := sip.T1
	for end := time.Now().Add(64 * sip.T1); time.Now().Before(end); wait = min(2*wait, sip.T2) {
		if tx.Respond(res) != nil || c.await(req.CSeq().SeqNo, wait, tx) {
			return
		}
	}
	s.log.Warn("sip: a change was not confirmed", "call", c.id)
}

// await waits for an ACK; true = it has come, or nobody waits for it any more.
func (c *call) await(number uint32, wait time.Duration, tx sip.ServerTransaction) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for c.acked.Load() < number {
		select {
		case <-c.acks:
		case <-c.over:
			return true
		case <-tx.Done():
			return true
		case <-timer.C:
			return false
		}
	}
	return true
}

// update is a re-INVITE without the ACK (RFC 3311).
func (s *Server) update(req *sip.Request, tx sip.ServerTransaction) {
	c := s.find(req, tx)
	if c == nil {
		return
	}
	if res := c.change(req, tx); res != nil {
		if err := tx.Respond(res); err != nil {
			s.log.Debug("sip: an answer was not sent", "call", c.id, "error", err)
		}
	}
}

// change takes a new offer, if there is one, and gives the 200; nil when the request was
// turned down.
func (c *call) change(req *sip.Request, tx sip.ServerTransaction) *sip.Response {
	s := c.server
	if err := c.dialog.ReadRequest(req, tx); err != nil {
		s.respond(req, tx, sip.StatusInternalServerError, "CSeq Out Of Order", sip.NewHeader("Retry-After", "1"))
		return nil
	}
	timer, small := timerOf(req)
	if small {
		s.respond(req, tx, statusIntervalTooSmall, "Session Interval Too Small", sip.NewHeader("Min-SE", strconv.Itoa(int(leastExpires.Seconds()))))
		return nil
	}
	var fresh *offer
	if len(req.Body()) > 0 {
		var err error
		if fresh, err = readOffer(req.Body(), s.config.Codecs); err != nil {
			s.respond(req, tx, sip.StatusNotAcceptableHere, "Not Acceptable Here")
			return nil
		}
	}
	c.mu.Lock()
	c.timer = timer
	if fresh != nil {
		c.offer = fresh
	}
	var body []byte
	var err error
	if fresh != nil || req.IsInvite() {
		body, err = c.answer()
	}
	c.mu.Unlock()
	if err != nil {
		s.respond(req, tx, sip.StatusInternalServerError, "Server Internal Error")
		return nil
	}
	if fresh != nil {
		if held, was := c.media.update(fresh.agreed); held != was {
			c.tell(func(in transport.Ingress) { in.Muted(held) })
		}
	}
	c.arm()
	res := sip.NewResponseFromRequest(req, sip.StatusOK, "OK", nil)
	if body != nil {
		res = sip.NewSDPResponseFromRequest(req, body)
	}
	res.AppendHeader(&s.via(req).ua.ContactHDR)
	for _, h := range append(timer.headers(), sip.NewHeader("Allow", allow), sip.NewHeader("Supported", "timer")) {
		res.AppendHeader(h)
	}
	return res
}
