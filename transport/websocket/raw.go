// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"bufio"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// leastDeflated is the size from which a text message is compressed, in bytes.
const leastDeflated = 256

// hijacker keeps the connection below a WebSocket: to cut it when the close handshake takes
// too long, and to tell what compression costs from what the network does.
type hijacker struct {
	http.ResponseWriter
	wire *raw
}

// Hijack hands the connection over.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.wire = &raw{Conn: c}
	return h.wire, bufio.NewReadWriter(rw.Reader, bufio.NewWriterSize(h.wire, 4096)), nil
}

// raw is a connection that knows how long it was waited for, if it is told to.
type raw struct {
	net.Conn
	timed            bool         // somebody wants to know
	reading, writing atomic.Int64 // nanoseconds
}

func (r *raw) Read(b []byte) (int, error) {
	if !r.timed {
		return r.Conn.Read(b)
	}
	began := time.Now()
	n, err := r.Conn.Read(b)
	r.reading.Add(int64(time.Since(began)))
	return n, err
}

func (r *raw) Write(b []byte) (int, error) {
	if !r.timed {
		return r.Conn.Write(b)
	}
	began := time.Now()
	n, err := r.Conn.Write(b)
	r.writing.Add(int64(time.Since(began)))
	return n, err
}
