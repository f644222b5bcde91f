// SPDX-License-Identifier: Apache-2.0

package nodehost

import "sync/atomic"

// turnstile admits one at a time. It is a lock that can be given up waiting for, and that
// costs two atomic operations where nobody waits, which is nearly always.
type turnstile struct {
	state atomic.Int32  // turnFree, turnTaken, turnWanted
	freed chan struct{} // of one place: somebody who waits is to look again
}

const (
	turnFree   int32 = iota
	turnTaken        // and nobody waits
	turnWanted       // taken, and somebody may wait
)

// try goes in if it is free.
func (t *turnstile) try() bool { return t.state.CompareAndSwap(turnFree, turnTaken) }

// wait goes in when it is free, or gives up, false, when over is closed.
func (t *turnstile) wait(over <-chan struct{}) bool {
	for t.state.Swap(turnWanted) != turnFree {
		select {
		case <-t.freed:
		case <-over:
			return false
		}
	}
	return true
}

// leave lets the next one in. The place in freed is taken only while somebody is to look
// anyway, who then finds it free, or taken by one who leaves after them.
func (t *turnstile) leave() {
	if t.state.Swap(turnFree) == turnWanted {
		select {
		case t.freed <- struct{}{}:
		default:
		}
	}
}
