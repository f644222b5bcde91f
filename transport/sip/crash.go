// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"runtime/debug"

	"github.com/emiago/sipgo/sip"

	"github.com/parley-voice/parley/transport"
)

// crashed is deferred by who answers a request: the library runs it in a goroutine of its
// own, where a panic would end the process. It ends the call, and no other.
func (s *Server) crashed(req *sip.Request, tx sip.ServerTransaction) {
	v := recover()
	if v == nil {
		return
	}
	s.log.Error("sip: a request has crashed", "method", req.Method, "panic", v, "stack", string(debug.Stack()))
	s.respond(req, tx, sip.StatusInternalServerError, "Server Internal Error")
	s.mu.Lock()
	c := s.calls[string(*req.CallID())]
	s.mu.Unlock()
	if c != nil {
		c.lose()
	}
}

// crashed is deferred by the goroutine that receives.
func (m *media) crashed() {
	if v := recover(); v != nil {
		m.crash(v, debug.Stack())
	}
}

// broken is lose for what runs by itself.
func (c *call) broken(*transport.Panic) { c.lose() }

// lose gives up a call in which something has panicked, which may hold c.mu for good.
func (c *call) lose() {
	c.gate.RLock()
	begun := c.in != nil
	c.gate.RUnlock()
	if !begun {
		c.end()
		c.forget()
		return
	}
	c.tell(func(in transport.Ingress) { in.Link(transport.LinkGone) })
}
