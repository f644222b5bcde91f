// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every depth, at every usual and some odd rates, of every channel count:
// a tone comes out at its pitch, level and phase.
func TestDecodeEveryFormat(t *testing.T) {
	const hz, level = 440.0, 0.5
	codecs := []codec{codecU8, codecS16, codecS24, codecS32, codecF32, codecF64, codecALaw, codecMuLaw}
	rates := []int{8000, 8001, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 47999, 48000}
	for _, c := range codecs {
		for _, rate := range rates {
			for _, channels := range []int{1, 2, 3, 6, 8} {
				for _, ext := range []bool{false, true} {
					s := wavSpec{codec: c, rate: rate, channels: channels, extensible: ext}
					if ext && channels != 2 {
						continue
					}
					if (rate == 8001 || rate == 47999) && (c != codecS16 || channels > 2) {
						continue // filters of 16000 phases; once each is enough
					}
					t.Run(fmt.Sprintf("%v/%d/%d/%t", c, rate, channels, ext), func(t *testing.T) {
						checkTone(t, s, hz, level)
					})
				}
			}
		}
	}
}

func checkTone(t *testing.T, s wavSpec, hz, level float64) {
	t.Helper()
	clip, notes, err := DecodeWAV(bytes.NewReader(s.sine(hz, level, 0.1)), "tone.wav")
	if err != nil {
		t.Fatal(err)
	}
	frames := int(0.1 * float64(s.rate))
	if want := (frames*Rate + s.rate - 1) / s.rate; len(clip.PCM) != want {
		t.Errorf("%d samples, want %d", len(clip.PCM), want)
	}
	// 8 bits of quantisation, linear or logarithmic, leave about 40 dB at this level.
	floor, tolerance := 75.0, 0.002
	if s.codec.bytes() == 1 {
		floor, tolerance = 33, 0.02
	}
	a, phase, snr := tone(clip.PCM, hz)
	if math.Abs(a/(level*32767)-1) > tolerance || math.Abs(phase) > 0.01 || snr < floor {
		t.Errorf("amplitude %.1f (want %.1f), phase %.4f, signal to noise %.1f dB", a, level*32767, phase, snr)
	}
	plain := s.codec == codecS16 && s.rate == Rate && s.channels == 1
	want := fmt.Sprintf("converted %d Hz %s %s to 16000 Hz mono 16-bit", s.rate, channelName(s.channels), s.codec)
	got := slices.ContainsFunc(notes, func(n Note) bool { return n.Kind == NoteConverted && n.Text == want })
	if got == plain || len(notes) > 1 {
		t.Errorf("notes %q, want %q: %t", notes, want, !plain)
	}
}

func TestDecodePassesPlainFilesThrough(t *testing.T) {
	want := make([]int16, 3*blockFrames+17)
	x := uint32(1)
	var data []byte
	for i := range want {
		x = x*1664525 + 1013904223
		want[i] = int16(x >> 16)
		data = binary.LittleEndian.AppendUint16(data, uint16(want[i]))
	}
	want[0], want[1] = math.MinInt16, math.MaxInt16
	binary.LittleEndian.PutUint16(data, 0x8000)
	binary.LittleEndian.PutUint16(data[2:], 0x7FFF)
	s := wavSpec{codec: codecS16, rate: Rate, channels: 1}
	file := riff(chunk("LIST", []byte("odd")), chunk("fmt ", s.fmtChunk()), chunk("cue ", nil), chunk("data", data), chunk("LIST", []byte("tail")))
	clip, notes, err := DecodeWAV(iotest(file), "a.wav")
	if err != nil || len(notes) != 0 {
		t.Fatalf("notes %v, error %v", notes, err)
	}
	if !slices.Equal(clip.PCM, want) {
		t.Error("samples changed on the way")
	}
	if got := clip.Duration().Microseconds(); got != int64(len(want))*1_000_000/Rate {
		t.Errorf("duration %d us", got)
	}
}

// iotest gives the bytes in uneven small pieces, as a pipe may.
func iotest(b []byte) io.Reader {
	var rs []io.Reader
	for n := 1; len(b) > 0; n = n*3%251 + 1 {
		n = min(n, len(b))
		rs = append(rs, bytes.NewReader(b[:n]))
		b = b[n:]
	}
	return io.MultiReader(rs...)
}

func TestDecodeAveragesChannels(t *testing.T) {
	s := wavSpec{codec: codecS16, rate: Rate, channels: 2}
	levels := [][2]float64{{0.5, 0.5}, {0.5, -0.5}, {0.5, 0}, {-1, -1}, {1, 1}}
	want := []int16{16384, 0, 8192, -32767, 32767}
	clip, _, err := DecodeWAV(bytes.NewReader(s.file(len(levels), func(ch, i int) float64 { return levels[i][ch] })), "a.wav")
	if err != nil || !slices.Equal(clip.PCM, want) {
		t.Errorf("got %v, want %v (error %v)", clip.PCM, want, err)
	}
}

// ITU-T G.711: the extremes, zero and the sign of both laws.
func TestG711(t *testing.T) {
	for _, c := range []struct {
		got, want int16
	}{
		{muLaw(0x80), 32124},
		{muLaw(0x00), -32124},
		{muLaw(0xFF), 0},
		{muLaw(0x7F), 0},
		{muLaw(0xFE), 8},
		{muLaw(0x8F), 16764},
		{aLaw(0xAA), 32256},
		{aLaw(0x2A), -32256},
		{aLaw(0xD5), 8},
		{aLaw(0x55), -8},
		{aLaw(0xD4), 24},
		{aLaw(0xC5), 264},
	} {
		if c.got != c.want {
			t.Errorf("got %d, want %d", c.got, c.want)
		}
	}
}

func TestDecodeNotesClippingAndSilence(t *testing.T) {
	s := wavSpec{codec: codecF32, rate: Rate, channels: 1}
	clip, notes, err := DecodeWAV(bytes.NewReader(s.file(4, func(_, i int) float64 { return []float64{2, -1e30, 1, -1}[i] })), "a.wav")
	if err != nil || !slices.Equal(clip.PCM, []int16{32767, -32768, 32767, -32768}) {
		t.Errorf("got %v, %v", clip.PCM, err)
	}
	if !hasNote(notes, NoteClipped, "clipped 2 of 4") {
		t.Errorf("notes %q", notes)
	}
	_, notes, err = DecodeWAV(bytes.NewReader(s.file(9, func(int, int) float64 { return 0 })), "a.wav")
	if err != nil || !hasNote(notes, NoteSilent, "every sample is zero") {
		t.Errorf("notes %q, %v", notes, err)
	}
}

func hasNote(notes []Note, kind NoteKind, text string) bool {
	return slices.ContainsFunc(notes, func(n Note) bool { return n.Kind == kind && strings.Contains(n.String(), text) })
}

// Writers that cannot seek leave placeholders in both sizes.
func TestDecodeOpenEnded(t *testing.T) {
	whole := wavSpec{codec: codecS16, rate: 8000, channels: 1}.sine(440, 0.5, 0.05)
	want, _, err := DecodeWAV(bytes.NewReader(whole), "a.wav")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ riff, data uint32 }{
		{0xFFFFFFFF, 0xFFFFFFFF}, {0, 0}, {36, 0}, {0x7FFFF024, 0x7FFFF000}, {0x80000024, 0x80000000}, {0x7FFFFFFF, 0x7FFFFFFF}, {0xFFFFFFFF, 0},
	} {
		b := bytes.Clone(whole)
		binary.LittleEndian.PutUint32(b[4:], c.riff)
		binary.LittleEndian.PutUint32(b[40:], c.data)
		clip, notes, err := DecodeWAV(bytes.NewReader(b), "a.wav")
		if err != nil || !slices.Equal(clip.PCM, want.PCM) || !hasNote(notes, NoteOpenEnded, "took all 0.050 s") {
			t.Errorf("%#x %#x: %d samples, notes %q, error %v", c.riff, c.data, len(clip.PCM), notes, err)
		}
		clip, notes, err = DecodeWAV(bytes.NewReader(b[:len(b)-1]), "a.wav")
		if err != nil || len(clip.PCM) != len(want.PCM)-2 || !hasNote(notes, NotePartialFrame, "last 1 bytes") {
			t.Errorf("half a frame: %d samples, notes %q, error %v", len(clip.PCM), notes, err)
		}
	}
}

func TestDecodeRefusals(t *testing.T) {
	good := wavSpec{codec: codecS16, rate: 16000, channels: 1}
	whole := good.sine(440, 0.5, 0.05)
	body := func(change func([]byte)) []byte { b := bytes.Clone(whole); change(b); return b }
	put16 := func(at int, v uint16) []byte {
		return body(func(b []byte) { binary.LittleEndian.PutUint16(b[at:], v) })
	}
	put32 := func(at int, v uint32) []byte {
		return body(func(b []byte) { binary.LittleEndian.PutUint32(b[at:], v) })
	}
	ext := wavSpec{codec: codecS16, rate: 16000, channels: 1, extensible: true}.sine(440, 0.5, 0.01)
	extWith := func(at int, v byte) []byte { b := bytes.Clone(ext); b[at] = v; return b }
	nan := wavSpec{codec: codecF32, rate: 16000, channels: 1}.file(32, func(_, i int) float64 { return []float64{0, math.NaN()}[i/16] })
	for _, c := range []struct {
		name  string
		bytes []byte
		kind  error
		says  string
	}{
		{"empty", nil, ErrEmpty, "length is 0 bytes: record or export"},
		{"text", []byte("hello, this is no sound"), ErrNotWAV, `start is "hell" instead of "RIFF": convert it to WAV`},
		{"short text", []byte("hi"), ErrNotWAV, `start is "hi"`},
		{"mp3", []byte("ID3\x03\x00\x00\x00\x00\x0f\x76TT"), ErrNotWAV, "for example with sox or ffmpeg"},
		{"avi", []byte("RIFF\x24\x00\x00\x00AVI LIST"), ErrNotWAV, `RIFF kind is "AVI "`},
		{"big-endian", append([]byte("RIFX"), whole[4:]...), ErrUnsupported, "container is RIFX"},
		{"64-bit", append([]byte("RF64"), whole[4:]...), ErrUnsupported, "container is RF64"},
		{"three bytes", whole[:3], ErrTruncated, "length is 3 bytes: it ends before the end of its header"},
		{"half a header", whole[:30], ErrTruncated, "before the end of its fmt chunk"},
		{"header of a chunk", whole[:40], ErrTruncated, "before the data chunk"},
		{"no data chunk", whole[:36], ErrEmpty, "data chunk is missing"},
		{"header only", put32(40, 0)[:44], ErrEmpty, "data chunk is 0 bytes: record or export"},
		{"header of a pipe only", riff(chunk("fmt ", good.fmtChunk()), chunk("data", nil)), ErrEmpty, "0 bytes, less than one frame"},
		{"no samples", riff(chunk("fmt ", good.fmtChunk()), chunk("data", nil), chunk("LIST", []byte("info"))), ErrEmpty, "data chunk is 0 bytes"},
		{"less than a frame", riff(chunk("fmt ", good.fmtChunk()), chunk("data", []byte{1})), ErrEmpty, "1 bytes, less than one frame"},
		{"cut off", whole[:len(whole)-1000], ErrTruncated, "data chunk is 600 bytes instead of 1600: 1000 bytes (0.031 s) are missing"},
		{"cut at the header", whole[:44], ErrTruncated, "1600 bytes (0.050 s) are missing"},
		{"data first", riff(chunk("data", []byte{1, 2}), chunk("fmt ", good.fmtChunk())), ErrMalformed, "fmt chunk is missing before"},
		{"short fmt", riff(chunk("fmt ", good.fmtChunk()[:14]), chunk("data", []byte{1, 2})), ErrMalformed, "fmt chunk is 14 bytes"},
		{"huge fmt", put32(16, 1<<30), ErrMalformed, "fmt chunk is 1073741824 bytes: it must be 16 to 4096"},
		{"huge chunk", riff(append([]byte("JUNK"), 0xFF, 0xFF, 0xFF, 0x7F)), ErrMalformed, `chunk "JUNK" is 2147483648 bytes`},
		{"cut chunk", riff(chunk("JUNK", make([]byte, 64)))[:40], ErrTruncated, `before the end of its chunk "JUNK"`},
		{"no channels", put16(22, 0), ErrUnsupported, "channel count is 0: use 1 to 8"},
		{"nine channels", put16(22, 9), ErrUnsupported, "channel count is 9"},
		{"slow", put32(24, 7999), ErrUnsupported, "sample rate is 7999 Hz: use 8000 to 48000 Hz"},
		{"fast", put32(24, 96000), ErrUnsupported, "sample rate is 96000 Hz"},
		{"absurd rate", put32(24, 0xFFFFFFFF), ErrUnsupported, "sample rate is 4294967295 Hz"},
		{"12 bits", put16(34, 12), ErrUnsupported, "sample format is PCM of 12 bits: use PCM of 8, 16, 24 or 32"},
		{"16-bit float", put16(20, 3), ErrUnsupported, "IEEE float of 16 bits"},
		{"adpcm", put16(20, 2), ErrUnsupported, "ADPCM of 16 bits"},
		{"unknown codec", put16(20, 0x1234), ErrUnsupported, "format 0x1234 of 16 bits"},
		{"block align", put16(32, 4), ErrMalformed, "block align is 4 bytes: 1 channels of 16-bit samples take 2"},
		{"valid bits", extWith(38, 24), ErrMalformed, "valid bits per sample is 24"},
		{"sub-format", extWith(59, 0), ErrUnsupported, "sub-format is 0100000000001000800000aa00389b00"},
		{"sub-codec", extWith(44, 2), ErrUnsupported, "ADPCM of 16 bits"},
		{"short extensible", put16(20, 0xFFFE), ErrMalformed, "the extensible format takes 40"},
		{"not a number", nan, ErrMalformed, "sample at 0.001 s is not a finite number"},
		{"31 minutes", put32(40, 31*60*32000), ErrTooLong, "duration is 31m0s: use at most 30 minutes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clip, notes, err := DecodeWAV(bytes.NewReader(c.bytes), "bad.wav")
			if !errors.Is(err, c.kind) || clip.PCM != nil || notes != nil {
				t.Fatalf("%d samples, notes %v, error %v; want %v", len(clip.PCM), notes, err, c.kind)
			}
			if e := (*Error)(nil); !errors.As(err, &e) || e.File != "bad.wav" || e.Remedy == "" {
				t.Errorf("%#v does not name file and remedy", err)
			}
			if !strings.HasPrefix(err.Error(), "bad.wav: ") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %q, want %q in it", err, c.says)
			}
		})
	}
}

// An endless pipe stops at the limit, not at the end of memory.
func TestDecodeEndlessPipe(t *testing.T) {
	s := wavSpec{codec: codecMuLaw, rate: Rate, channels: 1}
	head := riff(chunk("fmt ", s.fmtChunk()), append([]byte("data"), 0xFF, 0xFF, 0xFF, 0xFF))
	_, _, err := DecodeWAV(io.MultiReader(bytes.NewReader(head), endless{}), "pipe")
	if !errors.Is(err, ErrTooLong) {
		t.Errorf("error %v, want %v", err, ErrTooLong)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestDecodeReaderFails(t *testing.T) {
	whole := wavSpec{codec: codecS16, rate: 16000, channels: 1}.sine(440, 0.5, 0.05)
	for _, at := range []int{0, 10, 20, 40, 100} {
		_, _, err := DecodeWAV(io.MultiReader(bytes.NewReader(whole[:at]), broken{}), "a.wav")
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "try again") {
			t.Errorf("at byte %d: %v", at, err)
		}
	}
}

var errBroken = errors.New("cable pulled")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

func TestReadWAVFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.wav")
	if err := os.WriteFile(path, wavSpec{codec: codecS16, rate: 16000, channels: 1}.sine(440, 0.5, 0.05), 0o600); err != nil {
		t.Fatal(err)
	}
	if clip, _, err := ReadWAVFile(path); err != nil || len(clip.PCM) != 800 || clip.Name != path {
		t.Errorf("%q: %d samples, %v", clip.Name, len(clip.PCM), err)
	}
	missing := filepath.Join(dir, "b.wav")
	if _, _, err := ReadWAVFile(missing); !errors.Is(err, os.ErrNotExist) || !strings.HasSuffix(err.Error(), "check the path; the folder must exist") || strings.Count(err.Error(), missing) != 1 {
		t.Errorf("missing file: %v", err)
	}
	if _, _, err := ReadWAVFile(dir); err == nil || !strings.Contains(err.Error(), "name a file") {
		t.Errorf("folder: %v", err)
	}
}

// Whatever the bytes: no panic, no result beside an error, and no more sound
// than the bytes can hold.
func FuzzDecodeWAV(f *testing.F) {
	for _, c := range []codec{codecU8, codecS16, codecS24, codecF64, codecALaw} {
		s := wavSpec{codec: c, rate: 11025, channels: 2, extensible: c == codecS24}
		f.Add(s.sine(440, 0.5, 0.002))
	}
	whole := wavSpec{codec: codecS16, rate: 16000, channels: 1}.sine(440, 0.5, 0.002)
	f.Add(whole[:50])
	binary.LittleEndian.PutUint32(whole[40:], 0xFFFFFFFF)
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		clip, notes, err := DecodeWAV(bytes.NewReader(b), "fuzz.wav")
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) || clip.PCM != nil || notes != nil {
				t.Fatalf("error %v beside a result", err)
			}
			return
		}
		// 8000 Hz mono of one byte doubles; nothing grows more.
		if len(clip.PCM) == 0 || len(clip.PCM) > 2*len(b) {
			t.Fatalf("%d samples of %d bytes", len(clip.PCM), len(b))
		}
	})
}
