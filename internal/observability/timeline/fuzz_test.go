// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"errors"
	"io"
	"testing"
)

// FuzzReader feeds any bytes as two segments: no panic, an account that adds
// up, and never more good bytes than there are.
func FuzzReader(f *testing.F) {
	files, _, _ := twoSegments(f)
	one, two := files[segmentName(1)], files[segmentName(2)]
	f.Add(one, two)
	f.Add(one, []byte{})
	f.Add(one[:200], two)
	f.Add([]byte(magic), two[:100])
	f.Add(two, one)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		r, err := openSource(inMemory(map[string][]byte{segmentName(1): a, segmentName(2): b}))
		if err != nil {
			if !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		n := uint64(0)
		var last uint64
		for {
			rec, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrNewer) {
					t.Fatal(err)
				}
				break
			}
			n++
			if rec.Sequence <= last {
				t.Fatalf("sequence %d after %d", rec.Sequence, last)
			}
			last = rec.Sequence
			decodeAll(rec)
		}
		acct := r.Account()
		if acct.GoodRecords != n+acct.UnknownRecords || acct.GoodBytes+acct.BadBytes > int64(len(a)+len(b)) || acct.String() == "" {
			t.Fatalf("%d records: %+v", n, acct)
		}
	})
}

// decodeAll lets no payload decoder panic, whatever the type says.
func decodeAll(rec Record) {
	_, _ = DecodeAudio(rec.Payload)
	_, _ = DecodeEnd(rec.Payload)
	_, _ = DecodeGap(rec.Payload)
	_, _ = DecodeExport(rec.Payload)
	_, _ = DecodeMeta(rec.Payload)
}
