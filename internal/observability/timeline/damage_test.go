// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// twoSegments is a small recording, all its records, and for each segment
// the offsets at which a record ends.
func twoSegments(tb testing.TB) (files map[string][]byte, all []entry, ends map[string][]int) {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "a.parley")
	writeSample(tb, dir, 1, 620, sample(14))
	files = segmentsOf(tb, dir)
	if len(files) != 2 {
		tb.Fatalf("%d segments, the tests need 2", len(files))
	}
	all, a := readSource(tb, inMemory(files))
	if !a.Whole {
		tb.Fatal(a)
	}
	ends = map[string][]int{}
	for name, b := range files {
		for at := headerSize; at < len(b); {
			at += frameLength(b[at:])
			ends[name] = append(ends[name], at)
		}
	}
	return files, all, ends
}

func before(ends []int, cut int) int {
	n := 0
	for _, e := range ends {
		if e <= cut {
			n++
		}
	}
	return n
}

// A recording that is cut off at any byte gives a clear account of what is
// good, and never a crash.
func TestCutAtEveryByte(t *testing.T) {
	files, all, ends := twoSegments(t)
	one, two := segmentName(1), segmentName(2)
	for cut := range files[two] {
		f := maps.Clone(files)
		f[two] = files[two][:cut]
		got, a := readSource(t, inMemory(f))
		isPrefix(t, got, all)
		good := len(ends[one]) + before(ends[two], cut)
		if len(got) != good || a.GoodRecords != uint64(good) {
			t.Fatalf("last segment cut at %d: %d records, expected %d: %s", cut, len(got), good, a)
		}
		if a.Truncated == nil || a.Truncated.Segment != 2 {
			t.Fatalf("last segment cut at %d: %s", cut, a)
		}
	}
	for cut := range files[one] {
		// In front of another segment a cut is corruption.
		f := maps.Clone(files)
		f[one] = files[one][:cut]
		got, a := readSource(t, inMemory(f))
		isPrefix(t, got, all)
		if good := before(ends[one], cut); len(got) != good || a.Corrupt == nil {
			t.Fatalf("first segment cut at %d: %d records, expected %d: %s", cut, len(got), good, a)
		}
		// Alone it is a cut.
		got, a = readSource(t, inMemory(map[string][]byte{one: files[one][:cut]}))
		isPrefix(t, got, all)
		if good := before(ends[one], cut); len(got) != good || a.Truncated == nil {
			t.Fatalf("only segment cut at %d: %d records, expected %d: %s", cut, len(got), good, a)
		}
	}
}

func TestFlipEveryBit(t *testing.T) {
	files, all, ends := twoSegments(t)
	for name, b := range files {
		for bit := range len(b) * 8 {
			bad := bytes.Clone(b)
			bad[bit/8] ^= 1 << (bit % 8)
			f := maps.Clone(files)
			f[name] = bad
			got, a := readSource(t, inMemory(f))
			isPrefix(t, got, all)
			if a.Whole {
				t.Fatalf("%s bit %d: whole", name, bit)
			}
			good := before(ends[name], bit/8)
			if name == segmentName(2) {
				good += len(ends[segmentName(1)])
			}
			if len(got) != good {
				t.Fatalf("%s bit %d: %d records, expected %d: %s", name, bit, len(got), good, a)
			}
			lastRecord := name == segmentName(2) && bit/8 >= ends[name][len(ends[name])-2]
			if lastRecord != (a.Truncated != nil) {
				t.Fatalf("%s bit %d: a flip is a cut only in the very last record: %s", name, bit, a)
			}
		}
	}
}

// TestMixedUpSegments: each way to mix files up has a finding of its own.
func TestMixedUpSegments(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.parley")
	want := sample(60)
	writeSample(t, dir, 1, 620, want)
	foreign := filepath.Join(t.TempDir(), "b.parley")
	writeSample(t, foreign, 2, 620, want)
	sibling := filepath.Join(t.TempDir(), "c.parley")
	changed := append([]entry(nil), want...)
	changed[0].payload = strings.Replace(changed[0].payload, "input", "INPUT", 1)
	writeSample(t, sibling, 1, 620, changed)
	a, b, c := segmentsOf(t, dir), segmentsOf(t, foreign), segmentsOf(t, sibling)
	if len(a) < 3 {
		t.Fatalf("%d segments", len(a))
	}
	last := segmentName(uint32(len(a)))
	n1, n2, n3 := segmentName(1), segmentName(2), segmentName(3)
	lastRecordOf := func(seg []byte) int {
		at := headerSize
		for at+frameLength(seg[at:]) < len(seg) {
			at += frameLength(seg[at:])
		}
		return at
	}
	for _, tc := range []struct {
		kind    Kind
		segment uint32
		edit    func(map[string][]byte)
	}{
		{KindSegmentMissing, 1, func(f map[string][]byte) { delete(f, n1) }},
		{KindSegmentMissing, 2, func(f map[string][]byte) { delete(f, n2) }},
		{KindSegmentSwapped, 1, func(f map[string][]byte) { f[n1], f[n2] = f[n2], f[n1] }},
		{KindSegmentSwapped, 2, func(f map[string][]byte) { f[n2], f[n3] = f[n3], f[n2] }},
		{KindSegmentRepeat, 3, func(f map[string][]byte) { f[n3] = f[n2] }},
		{KindSegmentForeign, 2, func(f map[string][]byte) { f[n2] = b[n2] }},
		{KindChainBroken, 2, func(f map[string][]byte) { f[n2] = c[n2] }},
		{KindRecordsMissing, 2, func(f map[string][]byte) { f[n1] = f[n1][:lastRecordOf(f[n1])] }},
		{KindSegmentEmpty, 2, func(f map[string][]byte) { f[n2] = nil }},
		{KindHeaderCut, 2, func(f map[string][]byte) { f[n2] = f[n2][:40] }},
		{KindRecordCut, 1, func(f map[string][]byte) { f[n1] = f[n1][:len(f[n1])-1] }},
		{KindAfterEnd, uint32(len(a)), func(f map[string][]byte) { f[last] = append(bytes.Clone(f[last]), 0) }},
		{KindAfterEnd, uint32(len(a)), func(f map[string][]byte) { f[segmentName(uint32(len(a)+1))] = f[n1] }},
		{KindHeaderVersion, 2, func(f map[string][]byte) {
			f[n2] = bytes.Clone(f[n2])
			f[n2][12] = 1
			reseal(f[n2])
		}},
	} {
		f := maps.Clone(a)
		tc.edit(f)
		got, acct := readSource(t, inMemory(f))
		if acct.Corrupt == nil || acct.Corrupt.Kind != tc.kind || acct.Corrupt.Segment != tc.segment {
			t.Errorf("expected %s in segment %d: %s", tc.kind, tc.segment, acct)
			continue
		}
		if len(got) > 0 {
			isPrefix(t, got[1:], append(append([]entry(nil), want...), entry{TypeEnd, got[len(got)-1].payload}))
		}
		if text := acct.String(); !strings.Contains(text, acct.Corrupt.File) || !strings.Contains(text, "is damaged") {
			t.Errorf("account says too little: %s", text)
		}
	}
}

// TestFaultsOfACrash: what a crash can leave in the last segment is a cut.
func TestFaultsOfACrash(t *testing.T) {
	a, _, _ := twoSegments(t)
	last := segmentName(2)
	for kind, rest := range map[Kind][]byte{
		KindSegmentEmpty:   nil,
		KindHeaderCut:      a[last][:40],
		KindHeaderDamaged:  make([]byte, 200),
		KindRecordCut:      a[last][:len(a[last])-1],
		KindRecordLength:   append(a[last][:headerSize:headerSize], make([]byte, 50)...),
		KindRecordChecksum: append(a[last][:headerSize:headerSize], 20, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		KindEndMissing:     a[last][:headerSize],
	} {
		f := maps.Clone(a)
		f[last] = rest
		if _, acct := readSource(t, inMemory(f)); acct.Truncated == nil || acct.Truncated.Kind != kind {
			t.Errorf("expected %s as a cut: %s", kind, acct)
		}
	}
}

func TestRepair(t *testing.T) {
	files, all, ends := twoSegments(t)
	one, two := segmentName(1), segmentName(2)
	lay := func(f map[string][]byte) string {
		dir := t.TempDir()
		for name, b := range f {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for cut := range files[two] {
		if cut%7 != 0 && cut > 2 {
			continue
		}
		dir := lay(map[string][]byte{one: files[one], two: files[two][:cut]})
		a, err := Repair(dir)
		if err != nil || a.Truncated == nil || a.Truncated.Kind != KindEndMissing || a.BadBytes != 0 {
			t.Fatalf("cut at %d: %v, %s", cut, err, a)
		}
		got, _ := readDir(t, dir)
		isPrefix(t, got, all)
		if want := len(ends[one]) + before(ends[two], cut); len(got) != want {
			t.Fatalf("cut at %d: %d records after repair, expected %d", cut, len(got), want)
		}
	}
	if a, err := Repair(lay(files)); err != nil || !a.Whole {
		t.Errorf("whole: %v, %s", err, a)
	}
	torn := map[string][]byte{one: files[one][:300], two: files[two]}
	dir := lay(torn)
	if _, err := Repair(dir); !errors.Is(err, ErrCorrupt) {
		t.Errorf("corrupt: %v", err)
	}
	if got := segmentsOf(t, dir); !bytes.Equal(got[one], torn[one]) || !bytes.Equal(got[two], torn[two]) {
		t.Error("a refused repair has changed files")
	}
	if _, err := Repair(lay(map[string][]byte{one: files[one][:30]})); !errors.Is(err, ErrTruncated) {
		t.Errorf("nothing good: %v", err)
	}
}

// TestRecordsOutOfPlace: records with a right checksum of their own, but not
// where, or not what, was written.
func TestRecordsOutOfPlace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.parley")
	writeSample(t, dir, 1, 0, sample(6))
	one := segmentName(1)
	b := segmentsOf(t, dir)[one]
	var frames [][]byte
	for at := headerSize; at < len(b); at += frameLength(b[at:]) {
		frames = append(frames, b[at:at+frameLength(b[at:])])
	}
	join := func(order ...int) []byte {
		out := bytes.Clone(b[:headerSize])
		for _, i := range order {
			out = append(out, frames[i]...)
		}
		return out
	}
	other := appendFrame(bytes.Clone(b[:headerSize]), castagnoli(), TypeMeta, 1, []byte(`{}`))
	for i := 1; i < len(frames); i++ {
		other = append(other, frames[i]...)
	}
	fewer := appendFrame(join(0, 1), castagnoli(), TypeEnd, 3, frames[7][frameSize:])
	for _, c := range []struct {
		name string
		data []byte
		kind Kind
		good uint64
	}{
		{"swapped", join(0, 1, 3, 2, 4, 5, 6, 7), KindRecordSequence, 2},
		{"left out", join(0, 1, 3, 4, 5, 6, 7), KindRecordSequence, 2},
		{"left out before the end", join(0, 1, 2, 3, 4, 5, 7), KindRecordSequence, 6},
		{"repeated", join(0, 1, 1, 2, 3, 4, 5, 6, 7), KindRecordSequence, 2},
		{"replaced", other, KindEndMismatch, 7},
		{"end of another", fewer, KindEndMismatch, 2},
		{"no meta", appendFrame(bytes.Clone(b[:headerSize]), castagnoli(), TypeInput, 1, nil), KindMetaDamaged, 0},
		{"bad meta", appendFrame(bytes.Clone(b[:headerSize]), castagnoli(), TypeMeta, 1, []byte("{")), KindMetaDamaged, 0},
		{"second meta", appendFrame(join(0), castagnoli(), TypeMeta, 2, []byte("{}")), KindMetaDamaged, 1},
	} {
		_, a := readSource(t, inMemory(map[string][]byte{one: c.data}))
		f := a.Corrupt
		if f == nil {
			f = a.Truncated
		}
		if f == nil || f.Kind != c.kind || a.GoodRecords != c.good {
			t.Errorf("%s: %s", c.name, a)
		}
	}
}
