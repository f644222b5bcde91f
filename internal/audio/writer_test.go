// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func listing(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWriterRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "conversation.wav")
	w, err := CreateWAV(path, Rate)
	if err != nil {
		t.Fatal(err)
	}
	var want []int16
	for n := range 300 {
		left, right := make([]int16, n), make([]int16, n)
		for i := range left {
			left[i], right[i] = int16(n*i), int16(n*i-2*i)
			want = append(want, int16((int32(left[i])+int32(right[i])+1)>>1))
		}
		if err := w.Write(left, right); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(listing(t, dir), "conversation.wav") {
			t.Fatal("the target stands before it is whole")
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort after Close: %v", err)
	}
	if got := listing(t, dir); !slices.Equal(got, []string{"conversation.wav"}) {
		t.Errorf("left behind: %q", got)
	}
	clip, notes, err := ReadWAVFile(path)
	if err != nil || !hasNote(notes, NoteConverted, "16000 Hz stereo 16-bit") {
		t.Fatalf("notes %q, error %v", notes, err)
	}
	if !slices.Equal(clip.PCM, want) {
		t.Error("samples changed on the way")
	}
	if err := w.Write(nil, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
}

func TestWriterReplacesOnlyWhenWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	write := func(end func(*WAVWriter) error, v int16) {
		t.Helper()
		w, err := CreateWAV(path, Rate)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write([]int16{v}, []int16{v}); err != nil {
			t.Fatal(err)
		}
		if err := end(w); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(v int16) {
		t.Helper()
		clip, _, err := ReadWAVFile(path)
		if err != nil || !slices.Equal(clip.PCM, []int16{v}) {
			t.Errorf("holds %v, %v; want %d", clip.PCM, err, v)
		}
		if got := listing(t, filepath.Dir(path)); len(got) != 1 {
			t.Errorf("left behind: %q", got)
		}
	}
	write((*WAVWriter).Close, 1)
	holds(1)
	write((*WAVWriter).Abort, 2)
	holds(1)
	write((*WAVWriter).Close, 3)
	holds(3)
}

// fullDisk takes some bytes and then none.
type fullDisk struct {
	w    io.Writer
	left int
}

func (d *fullDisk) Write(b []byte) (int, error) {
	n := min(len(b), d.left)
	d.left -= n
	if _, err := d.w.Write(b[:n]); err != nil {
		return 0, err
	}
	if n < len(b) {
		return n, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	}
	return n, nil
}

func TestWriterFullDisk(t *testing.T) {
	for _, room := range []int{0, 20, 1000, 100_000} {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.wav")
		w, err := CreateWAV(path, Rate)
		if err != nil {
			t.Fatal(err)
		}
		w.buf = bufio.NewWriterSize(&fullDisk{w.file, room}, 4096)
		block := make([]int16, 4000)
		var first error
		for range 20 {
			if err := w.Write(block, block); err != nil && first == nil {
				first = err
			}
		}
		err = w.Close()
		if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), path+": write: ") || !strings.Contains(err.Error(), "free some space") {
			t.Errorf("room for %d: Close says %v", room, err)
		}
		if first != nil && first.Error() != err.Error() {
			t.Errorf("Write said %v, Close %v", first, err)
		}
		if got := listing(t, dir); len(got) != 0 {
			t.Errorf("room for %d: left behind %q", room, got)
		}
	}
}

func TestWriterRefusals(t *testing.T) {
	dir := t.TempDir()
	if _, err := CreateWAV(filepath.Join(dir, "none", "a.wav"), Rate); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "folder must exist") {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := CreateWAV(dir, Rate); !errors.Is(err, os.ErrExist) || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder as target: %v", err)
	}
	if _, err := CreateWAV(filepath.Join(dir, "a.wav"), 192000); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "192000 Hz") {
		t.Errorf("rate: %v", err)
	}
	w, err := CreateWAV(filepath.Join(dir, "a.wav"), Rate)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(make([]int16, 3), make([]int16, 2)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "right channel is 2 samples: give as many as on the left, 3") {
		t.Errorf("uneven: %v", err)
	}
	if err := w.Close(); !errors.Is(err, ErrMalformed) {
		t.Errorf("Close after a failure: %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort after a failure: %v", err)
	}
	w, err = CreateWAV(filepath.Join(dir, "b.wav"), Rate)
	if err != nil {
		t.Fatal(err)
	}
	w.n = maxDataBytes - 3
	if err := w.Write([]int16{1}, []int16{1}); !errors.Is(err, ErrTooLong) || !strings.Contains(err.Error(), "4 GiB") {
		t.Errorf("too long: %v", err)
	}
	if got := listing(t, dir); len(got) != 0 {
		t.Errorf("left behind %q", got)
	}
}
