// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"strings"
	"testing"
)

// Whatever the bytes are, the answer is what was signed, or an error with a fault.
func FuzzCheck(f *testing.F) {
	a := authority(f)
	token, issued := issue(f, a, claims())
	head, rest, _ := strings.Cut(token, ".")
	for _, seed := range []string{
		token, "", ".", "..", head + "..", "eyJhbGciOiJub25lIn0." + rest, token[:len(token)-1], strings.ToUpper(token),
		"eyJhbGciOiJFZERTQSIsImtpZCI6MX0.e30.AAAA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := a.Check(text, Expect{}, noon)
		var refused *TokenError
		switch {
		case err == nil && c != issued:
			t.Fatalf("%q says %+v", text, c)
		case err != nil && (!errors.As(err, &refused) || refused.Fault == "" || refused.Detail == ""):
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// Whatever a key file holds, the answer is keys that work, or an error.
func FuzzReadKeys(f *testing.F) {
	k := newKey(f)
	for _, private := range []bool{true, false} {
		text, err := k.PEM(private)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	j, err := k.JWK()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(j)
	f.Add([]byte(`{"keys":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ReadKeys("f", data)
		if err == nil && keys.Validate() != nil {
			t.Fatalf("%q gives keys that are refused", data)
		}
	})
}
