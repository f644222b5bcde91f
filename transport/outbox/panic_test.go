// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
)

// A write that panics fails the outbox, which says so once; the process goes on, also when
// whoever is told panics.
func TestAPanicInAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan error, 2)
		o, err := New(Config{
			Write:  func(context.Context, *Message) error { panic("of a test") },
			Failed: func(err error) { told <- err; panic("again") },
		})
		if err != nil {
			t.Fatal(err)
		}
		o.Send(Message{Data: []byte("a")})
		synctest.Wait()
		if err := <-told; !strings.Contains(err.Error(), "of a test") || o.Err() == nil {
			t.Errorf("it is told %v, and says %v", err, o.Err())
		}
		if o.Send(Message{Data: []byte("b")}) {
			t.Error("it takes a message, and writes none")
		}
		_ = o.Close(t.Context()) // it says what has failed
	})
}
