// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"sync"
	"testing"
	"time"
)

// One at a time goes through a turnstile, everybody who waits goes through in the end, and who
// waits for one that is over goes away.
func TestTurnstile(t *testing.T) {
	s := turnstile{freed: make(chan struct{}, 1)}
	never := make(chan struct{})
	const each = 2000
	inside, through := 0, 0 // the race detector sees when they are not guarded
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range each {
				if !s.try() && !s.wait(never) {
					t.Error("gave up for nothing")
					return
				}
				if inside++; inside != 1 {
					t.Errorf("%d are inside", inside)
				}
				through++
				inside--
				s.leave()
			}
		})
	}
	all.Wait()
	if through != 8*each || s.state.Load() != turnFree {
		t.Errorf("%d went through, want %d; the state is %d", through, 8*each, s.state.Load())
	}

	over := make(chan struct{})
	s.try()
	gone := make(chan bool)
	for range 2 {
		go func() { gone <- s.wait(over) }()
	}
	close(over)
	for range 2 {
		if <-gone {
			t.Error("went in where somebody is")
		}
	}
	waits := make(chan bool)
	go func() { waits <- s.wait(never) }()
	s.leave()
	select {
	case in := <-waits:
		if !in || s.try() {
			t.Error("did not go in, or not alone")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody told the one who waits")
	}
}
