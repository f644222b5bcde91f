// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/transport"
)

// leaver is an Ingress that is told that its client is gone.
type leaver struct {
	transport.Ingress
	links chan transport.LinkState
}

func (l *leaver) Audio(int64, []int16)           {}
func (l *leaver) Gap(transport.Gap)              {}
func (l *leaver) Link(state transport.LinkState) { l.links <- state }

// A function that panics on the feed's timer costs the connection, and not the process.
func TestAPanicOnTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &leaver{links: make(chan transport.LinkState, 1)}
		f, err := New(Config{}, in)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(make([]int16, transport.SampleRate)) // a second: it goes out at the pace of speech
		if !f.After(func() { panic("of a test") }) {
			t.Fatal("it was not taken")
		}
		time.Sleep(2 * time.Second)
		if state := <-in.links; state != transport.LinkGone {
			t.Errorf("the link is %v", state)
		}
		f.Close()
	})
}
