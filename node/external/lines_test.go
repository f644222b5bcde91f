// SPDX-License-Identifier: Apache-2.0

package external

import (
	"testing"
	"time"
)

// Who writes as people read is not made to wait; who writes more than may be read in a moment, or in
// more pieces, waits until it is over.
func TestLinesPause(t *testing.T) {
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	for name, c := range map[string]struct {
		bytes []int // of writes a millisecond apart
		want  time.Duration
	}{
		"a line":       {[]int{80}, 0},
		"a few":        {[]int{80, 80, 80, 80, 80, 80, 80, 80, 80, 80}, 0},
		"much at once": {[]int{32 << 10}, moment},
		"much":         {[]int{16 << 10, 16 << 10}, moment - time.Millisecond},
		"many pieces":  {[]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, moment - 15*time.Millisecond},
		"the next moment": {[]int{
			4000, 0, 0, 0, 0, 4000, 0, 0, 0, 0, 4000, 0, 0, 0, 0,
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var l lines
			got := time.Duration(0)
			for i, n := range c.bytes {
				got = l.pause(n, at(time.Duration(i)*time.Millisecond))
			}
			if got != c.want {
				t.Errorf("it waits %v, want %v", got, c.want)
			}
			if got := l.pause(80, at(time.Second)); got != 0 {
				t.Errorf("a second later it waits %v", got)
			}
		})
	}
}
