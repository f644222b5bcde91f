// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// keys are the events of RFC 4733, section 3.2, in order of their numbers.
const keys = "0123456789*#ABCD"

// lostEnd is after how long without a packet an event is over whose end was lost.
const lostEnd = 200 * time.Millisecond

// press is a key that was pressed.
type press struct {
	digit string
	held  time.Duration
}

// events tells of each key once, out of the packets of its event: one for every 20 ms or
// 50 ms, and the end three times. What they have in common is their timestamp.
type events struct {
	known     bool
	timestamp uint32 // of the latest event
	told      bool
	key       byte
	units     uint16 // how long it was held so far, in samples at 8000 Hz
	at        time.Duration
	malformed int64
}

// put takes a packet's payload and gives the key that is over by it, if any.
func (e *events) put(at time.Duration, timestamp uint32, payload []byte) (press, bool) {
	if len(payload) < 4 || int(payload[0]) >= len(keys) {
		e.malformed++
		return press{}, false
	}
	var before press
	var over bool
	if !e.known || timestamp != e.timestamp {
		if e.known && int32(timestamp-e.timestamp) < 0 && at-e.at < lostEnd {
			return press{}, false // came late, of a key that was told
		}
		before, over = e.end()
		*e = events{known: true, timestamp: timestamp, key: payload[0], malformed: e.malformed}
	}
	e.at = at
	e.units = max(e.units, binary.BigEndian.Uint16(payload[2:]))
	if over {
		return before, true
	}
	if payload[1]&0x80 != 0 {
		return e.end()
	}
	return press{}, false
}

// tick gives the key whose end did not come.
func (e *events) tick(at time.Duration) (press, bool) {
	if e.known && !e.told && at-e.at >= lostEnd {
		return e.end()
	}
	return press{}, false
}

func (e *events) end() (press, bool) {
	if !e.known || e.told {
		return press{}, false
	}
	e.told = true
	return press{digit: keys[e.key : e.key+1], held: time.Duration(e.units) * time.Second / 8000}, true
}

// relay reads the body of an INFO of type application/dtmf-relay, or application/dtmf,
// which is the key alone.
func relay(body []byte) (press, bool) {
	var p press
	lines := bufio.NewScanner(bytes.NewReader(body[:min(len(body), 512)]))
	for lines.Scan() {
		name, value, pair := strings.Cut(lines.Text(), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !pair && p.digit == "":
			p.digit = name
		case strings.EqualFold(name, "signal"):
			p.digit = value
		case strings.EqualFold(name, "duration"):
			if ms, err := strconv.ParseUint(value, 10, 16); err == nil {
				p.held = time.Duration(ms) * time.Millisecond
			}
		}
	}
	p.digit = strings.ToUpper(p.digit)
	return p, len(p.digit) == 1 && strings.Contains(keys, p.digit)
}
