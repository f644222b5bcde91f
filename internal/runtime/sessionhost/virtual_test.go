// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"testing"
)

func TestOneTurn(t *testing.T) {
	r := newRig("s1")
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
	t.Logf("\n%s", r.log)
	t.Logf("%+v", s.Stats())
	t.Logf("%+v", s.Conversation().Utterances())
}
