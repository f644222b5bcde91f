// SPDX-License-Identifier: Apache-2.0

package telephony

// farthest is by how much a chunk's number may go on and still be a gap. Beyond it the
// gateway has begun to count anew.
const farthest = 250

// order puts media messages in the order of their chunks. Some gateways send a few in
// another order; where they do, up to apart are held until the one before them has come.
// It has no clock: media comes all the time, and the next message is the alarm.
type order struct {
	apart int
	next  int64 // the chunk that is due; 0 = none has come
	held  map[int64][]byte
	late  int64 // chunks that came when their place was given up, or twice
	moved int64 // chunks that came out of order and in time
}

// put takes a chunk and gives what is due now: for each piece the sound, or how many
// chunks in its place did not come. Chunk 0 has no number and is due as it comes.
func (o *order) put(chunk int64, sound []byte, due func(missing int64, sound []byte)) {
	switch {
	case chunk == 0:
		due(0, sound)
		return
	case o.next == 0:
		o.next = chunk
	case chunk > o.next+farthest || chunk < o.next-farthest:
		o.release(due, 0)
		o.next = chunk
	case chunk < o.next || o.held[chunk] != nil:
		o.late++
		return
	}
	if chunk == o.next {
		o.next++
		due(0, sound)
		o.ready(due)
		return
	}
	if o.held == nil {
		o.held = map[int64][]byte{}
	}
	o.held[chunk] = sound
	o.moved++
	if len(o.held) > o.apart {
		o.release(due, o.apart)
	}
}

// ready gives the chunks whose turn it is.
func (o *order) ready(due func(missing int64, sound []byte)) {
	for {
		sound, ok := o.held[o.next]
		if !ok {
			return
		}
		delete(o.held, o.next)
		o.next++
		due(0, sound)
	}
}

// release gives up on what is missing until no more than keep are held.
func (o *order) release(due func(missing int64, sound []byte), keep int) {
	for len(o.held) > keep {
		least := int64(1<<63 - 1)
		for chunk := range o.held {
			least = min(least, chunk)
		}
		if least > o.next {
			due(least-o.next, nil)
			o.next = least
		}
		o.ready(due)
	}
}
