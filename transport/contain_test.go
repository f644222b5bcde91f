// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/transport"
)

// A panic in a timer or on a goroutine is told to its connection, and nothing else ends. One in
// what ends the connection is swallowed.
func TestContain(t *testing.T) {
	told := make(chan *transport.Panic, 2)
	broken := func(p *transport.Panic) { told <- p; panic("again") }
	time.AfterFunc(0, transport.Contain(broken, func() { panic("of a test") }))
	go transport.Contain(broken, func() { panic("of a test") })()
	for range 2 {
		p := <-told
		if p.Value != "of a test" || !strings.Contains(p.Error(), "of a test") || !strings.Contains(string(p.Stack), "contain_test.go") {
			t.Errorf("it is told %v", p)
		}
	}
	ran := false
	transport.Contain(nil, func() { ran = true })()
	transport.Contain(nil, func() { panic("nobody is told") })()
	if !ran {
		t.Error("it does not run what it contains")
	}
}
