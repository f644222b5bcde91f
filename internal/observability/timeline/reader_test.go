// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, segment := range []int64{0, 256, 700} {
		dir := filepath.Join(t.TempDir(), "a.parley")
		want := sample(40)
		writeSample(t, dir, 1, segment, want)
		r, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r.Meta(), testMeta()) {
			t.Errorf("meta is %+v", r.Meta())
		}
		got, a := readAll(t, r)
		if len(got) != len(want)+2 || got[0].kind != TypeMeta || got[len(got)-1].kind != TypeEnd {
			t.Fatalf("read %d records: %v", len(got), got)
		}
		isPrefix(t, got[1:len(got)-1], want)
		if !a.Whole || a.End.Reason != "completed" || a.End.Digest != [32]byte{9, 8, 7} || a.LastSequence != 42 || a.GoodRecords != 42 {
			t.Errorf("account: %+v", a)
		}
		var size int64
		for _, b := range segmentsOf(t, dir) {
			size += int64(len(b))
			if segment > 0 && int64(len(b)) > segment+256 {
				t.Errorf("segment of %d bytes, limit %d", len(b), segment)
			}
		}
		if a.GoodBytes != size {
			t.Errorf("good bytes %d, files have %d", a.GoodBytes, size)
		}
	}
}

func TestOpenSingleSegment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.parley")
	want := sample(60)
	writeSample(t, dir, 1, 700, want)
	n := len(segmentsOf(t, dir))
	if n < 3 {
		t.Fatalf("%d segments", n)
	}
	got, a := readDir(t, filepath.Join(dir, segmentName(1)))
	if a.Truncated == nil || a.Truncated.Kind != KindPart || len(got) < 2 {
		t.Errorf("first: %s", a)
	}
	isPrefix(t, got[1:], want)
	got, a = readDir(t, filepath.Join(dir, segmentName(uint32(n))))
	if a.Truncated == nil || a.Truncated.Kind != KindPart || got[len(got)-1].kind != TypeEnd {
		t.Errorf("last: %s", a)
	}
	one := filepath.Join(t.TempDir(), "b.parley")
	writeSample(t, one, 1, 0, want)
	// Under any name: the header says what it is.
	moved := filepath.Join(t.TempDir(), "moved.bin")
	if err := os.Rename(filepath.Join(one, segmentName(1)), moved); err != nil {
		t.Fatal(err)
	}
	if _, a := readDir(t, moved); !a.Whole {
		t.Errorf("only segment: %s", a)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		name, path string
		want       error
		says       string
	}{
		{"absent", filepath.Join(dir, "absent"), fs.ErrNotExist, "absent"},
		{"empty file", write("empty", ""), ErrNotRecording, "is empty"},
		{"wav", write("x.wav", "RIFF....WAVEfmt "), ErrNotRecording, `begins with "RIFF`},
		{"folder without segments", filepath.Dir(write("other/readme.txt", "hello")), ErrNotRecording, "holds no segment"},
	} {
		if _, err := Verify(c.path); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "odd", segmentName(1)), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "odd")); !errors.Is(err, ErrNotRecording) {
		t.Errorf("segment that is a folder: %v", err)
	}
}

// reseal puts the right CRC on a header that a test has changed.
func reseal(b []byte) {
	n := headerLength(b)
	binary.LittleEndian.PutUint32(b[n-4:], crc32.Checksum(b[:n-4], castagnoli()))
}

func TestNewerMajorIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.parley")
	writeSample(t, dir, 1, 0, sample(3))
	files := segmentsOf(t, dir)
	b := files[segmentName(1)]
	binary.LittleEndian.PutUint16(b[10:], 2)
	binary.LittleEndian.PutUint16(b[12:], 7)
	reseal(b)
	_, err := openSource(inMemory(files))
	if !errors.Is(err, ErrNewer) {
		t.Fatalf("%v", err)
	}
	for _, says := range []string{"format 2.7", "up to 1.0", "update parley"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q lacks %q", err, says)
		}
	}
}

// TestNewerMinorIsRead builds a recording of format 1.1 with a longer header,
// an unknown type and a critical flag.
func TestNewerMinorIsRead(t *testing.T) {
	table := castagnoli()
	h := header{major: 1, minor: 1, segment: 1, first: 1, recording: [16]byte{1}}.encode()
	h = append(h[:84], make([]byte, 12)...)
	binary.LittleEndian.PutUint16(h[14:], uint16(len(h)))
	reseal(h)
	b := appendFrame(h, table, TypeMeta, 1, []byte(`{"session_id":"s","later":true}`))
	b = appendFrame(b, table, Type(77), 2, []byte("what is this"))
	at := len(b)
	b = appendFrame(b, table, TypeInput, 3, []byte("changed meaning"))
	b[at+9] = flagCritical
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(b[at+8:], table))
	b = appendFrame(b, table, TypeInput, 4, []byte("known"))
	got, a := readSource(t, inMemory(map[string][]byte{segmentName(1): b}))
	if a.UnknownRecords != 2 || len(got) != 2 || got[1].payload != "known" || a.LastSequence != 4 {
		t.Errorf("%v, %+v", got, a)
	}
	if a.Truncated == nil || a.Truncated.Kind != KindEndMissing {
		t.Errorf("%s", a)
	}
	// In the reader's own format the same type is damage.
	b = appendFrame(header{major: 1, segment: 1, first: 1}.encode(), table, TypeMeta, 1, []byte(`{}`))
	b = appendFrame(b, table, Type(77), 2, []byte("what is this"))
	if _, a := readSource(t, inMemory(map[string][]byte{segmentName(1): b})); a.Truncated == nil || a.Truncated.Kind != KindRecordType {
		t.Errorf("%s", a)
	}
}

func TestPayloads(t *testing.T) {
	e := End{Digest: [32]byte{1}, Reason: "grund", Seal: [32]byte{2}, Sequence: 3, Segments: 4, DroppedDetail: 5, DroppedDetailBytes: 6, RefusedBaseline: 7}
	if got, err := DecodeEnd(e.appendTo(nil)); err != nil || got != e {
		t.Errorf("end: %+v, %v", got, err)
	}
	a := Audio{Direction: FromAgent, Encoding: EncodingS16, SampleRateHz: 48000, SampleIndex: 1 << 40, PCM: []byte{1, 2}}
	if got, err := DecodeAudio(AppendAudio(nil, a)); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("audio: %+v, %v", got, err)
	}
	g := Gap{1, 2, 3}
	if got, err := DecodeGap(g.appendTo(nil)); err != nil || got != g {
		t.Errorf("gap: %+v, %v", got, err)
	}
	for name, bad := range map[string]error{
		"end":       second(DecodeEnd(make([]byte, endFixed-1))),
		"reason":    second(DecodeEnd(e.appendTo(nil)[:endFixed+2])),
		"audio":     second(DecodeAudio([]byte{1})),
		"direction": second(DecodeAudio(AppendAudio(nil, Audio{Direction: 2, Encoding: 1}))),
		"encoding":  second(DecodeAudio(AppendAudio(nil, Audio{Encoding: 9}))),
		"odd pcm":   second(DecodeAudio(AppendAudio(nil, Audio{Encoding: 1, PCM: []byte{1}}))),
		"gap":       second(DecodeGap(nil)),
		"export":    second(DecodeExport(nil)),
		"meta":      second(DecodeMeta([]byte("{"))),
	} {
		if !errors.Is(bad, ErrPayload) {
			t.Errorf("%s: %v", name, bad)
		}
	}
}

func second[T any](_ T, err error) error { return err }
