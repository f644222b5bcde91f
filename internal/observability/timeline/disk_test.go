// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// flakyFS is a disk that gets full, loses its sync, hangs, or forgets all.
type flakyFS struct {
	mu      sync.Mutex
	full    bool
	left    int // bytes until it is full, while full is set
	noSync  bool
	discard bool
	hang    chan struct{}
	writes  []time.Time // of failed writes
}

func (f *flakyFS) fail(after int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full, f.left = true, after
}

func (f *flakyFS) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full, f.noSync = false, false
}

func (f *flakyFS) create(path string) (segmentFile, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.discard {
		return flakyFile{fs: f}, nil
	}
	if f.full && f.left == 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOSPC}
	}
	file, err := disk{}.create(path)
	return flakyFile{f, file}, err
}

func (f *flakyFS) syncDir(path string) error {
	if f.discard {
		return nil
	}
	return disk{}.syncDir(path)
}

type flakyFile struct {
	fs   *flakyFS
	real segmentFile
}

// WriteAt writes what still fits, as a disk does.
func (f flakyFile) WriteAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	hang, discard := f.fs.hang, f.fs.discard
	n := len(b)
	if f.fs.full {
		n = min(n, f.fs.left)
		f.fs.left -= n
		if n < len(b) {
			f.fs.writes = append(f.fs.writes, time.Now())
		}
	}
	f.fs.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if discard {
		return len(b), nil
	}
	if m, err := f.real.WriteAt(b[:n], off); err != nil {
		return m, err
	}
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (f flakyFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.noSync {
		return syscall.EIO
	}
	return nil
}

func (f flakyFile) Truncate(n int64) error {
	if f.real == nil {
		return nil
	}
	return f.real.Truncate(n)
}

func (f flakyFile) Close() error {
	if f.real == nil {
		return nil
	}
	return f.real.Close()
}

// A disk that is full at any byte: an error with file and remedy, no whole
// recording, and all that is in the file is readable.
func TestDiskFullAtAnyByte(t *testing.T) {
	want := sample(14)
	for after := 0; after < 1400; after += 3 {
		for _, synchronous := range []bool{true, false} {
			dir := filepath.Join(t.TempDir(), "a.parley")
			files := &flakyFS{}
			files.fail(after)
			w, err := Create(dir, Options{Meta: testMeta(), SegmentBytes: 620, Synchronous: synchronous, files: files})
			if err != nil {
				if _, serr := os.Stat(dir); !errors.Is(serr, fs.ErrNotExist) || !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("full after %d: %v, left behind: %v", after, err, serr)
				}
				continue
			}
			for _, e := range want {
				if err := w.Append(e.kind, []byte(e.payload)); err != nil {
					t.Fatal(err)
				}
			}
			err = w.Close(End{})
			got, a := readDir(t, dir)
			isPrefix(t, got[1:], append(want[:len(want):len(want)], entry{TypeEnd, got[len(got)-1].payload}))
			if err == nil {
				if !a.Whole {
					t.Fatalf("full after %d: no error, but %s", after, a)
				}
				continue
			}
			if a.Whole || a.Corrupt != nil || a.Truncated.Kind == KindRecordCut {
				t.Fatalf("full after %d: %v, but %s: half a record should have been taken off", after, err, a)
			}
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), ".wal") || !strings.Contains(err.Error(), "free space") {
				t.Fatalf("full after %d: the error says too little: %v", after, err)
			}
			if s := w.Stats(); s.Err == nil || s.Retries == 0 {
				t.Fatalf("stats hide the error: %+v", s)
			}
		}
	}
}

// "Retried with backoff 100 doubling to 5000" (evidence-replay section 4),
// and when the disk is back nothing is missing.
func TestBackoffAndRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a.parley")
		files := &flakyFS{}
		w := mustCreate(t, dir, Options{files: files})
		files.fail(10)
		if err := w.Append(TypeInput, []byte("held back by a full disk")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if s := w.Stats(); s.LagMS != 20000 || s.Exported != 1 || !errors.Is(s.Err, syscall.ENOSPC) || s.QueuedRecords != 1 {
			t.Errorf("%+v", s)
		}
		var waits []time.Duration
		for i := 1; i < len(files.writes); i++ {
			waits = append(waits, files.writes[i].Sub(files.writes[i-1]))
		}
		want := []int64{100, 200, 400, 800, 1600, 3200, 5000, 5000}
		if len(waits) != len(want) {
			t.Fatalf("waits %v", waits)
		}
		for i, ms := range want {
			if waits[i].Milliseconds() != ms {
				t.Errorf("wait %d is %v, expected %d ms", i, waits[i], ms)
			}
		}
		files.heal()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if s := w.Stats(); s.LagMS != 0 || s.Exported != 2 || s.Err != nil {
			t.Errorf("%+v", s)
		}
		if err := w.Close(End{}); err != nil {
			t.Error(err)
		}
		if got, a := readDir(t, dir); !a.Whole || got[1].payload != "held back by a full disk" {
			t.Errorf("%v %s", got, a)
		}
	})
}

// The sync policy's interval is kept also when nothing more is appended, and
// the export marker neither counts as lag nor causes another sync.
func TestSyncInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a.parley")
		w := mustCreate(t, dir, Options{Sync: SyncPolicy{Interval: time.Second}})
		if err := w.Append(TypeInput, []byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if s := w.Stats(); s.Exported != 2 || s.Synced != 0 {
			t.Errorf("before: %+v", s)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := w.Stats(); s.Synced != 2 || s.Appended != 3 || s.QueuedRecords != 1 || s.LagMS != 0 {
			t.Errorf("after: %+v", s)
		}
		if err := w.Close(End{}); err != nil {
			t.Fatal(err)
		}
		got, a := readDir(t, dir)
		if seq, err := DecodeExport([]byte(got[2].payload)); !a.Whole || err != nil || seq != 2 {
			t.Errorf("%v %v %s", got, err, a)
		}
	})
}

// After a failed sync the system may have thrown pages away: no retry may
// turn that into a recording that looks whole.
func TestFailedSyncIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a.parley")
		files := &flakyFS{}
		w := mustCreate(t, dir, Options{files: files, Sync: SyncPolicy{Records: 1}})
		files.noSync = true
		if err := w.Append(TypeInput, []byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		files.heal()
		if err := w.Append(TypeDecision, []byte("y")); !errors.Is(err, ErrBaselineUnavailable) || !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
		if err := w.Append(TypeAudio, []byte("z")); err != nil {
			t.Error(err)
		}
		if err := w.Close(End{}); !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
		if _, a := readDir(t, dir); a.Whole {
			t.Error(a)
		}
	})
}

// A disk that hangs holds up neither appends nor, for long, the end.
func TestHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a.parley")
		files := &flakyFS{}
		w := mustCreate(t, dir, Options{files: files, CapacityRecords: 40, ReserveRecords: 8})
		files.mu.Lock()
		files.hang = make(chan struct{})
		files.mu.Unlock()
		var refused error
		for range 100 {
			if err := w.Append(TypeText, []byte("t")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for range 10 {
			refused = errors.Join(refused, w.Append(TypeDecision, []byte("d")))
		}
		if !errors.Is(refused, ErrBaselineUnavailable) {
			t.Error(refused)
		}
		if s := w.Stats(); s.LagMS < 900 || s.DroppedDetail == 0 || s.QueuedRecords > 40 {
			t.Errorf("%+v", s)
		}
		if err := w.Close(End{}); !errors.Is(err, ErrStalled) {
			t.Error(err)
		}
		close(files.hang)
		<-w.done
		if _, a := readDir(t, dir); a.Whole {
			t.Errorf("Close has failed, yet %s", a)
		}
	})
}

// What Close has given up on does not become whole behind its back.
func TestForsakenRecordingStaysOpenEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a.parley")
		files := &flakyFS{}
		w := mustCreate(t, dir, Options{files: files})
		files.mu.Lock()
		files.hang = make(chan struct{})
		files.mu.Unlock()
		if err := w.Append(TypeDecision, []byte("d")); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(End{}); !errors.Is(err, ErrStalled) {
			t.Error(err)
		}
		close(files.hang)
		<-w.done
		got, a := readDir(t, dir)
		if a.Whole || a.Truncated == nil || a.Truncated.Kind != KindEndMissing || len(got) != 2 {
			t.Errorf("Close has failed, yet %s", a)
		}
	})
}

func TestSyncMarksOnce(t *testing.T) {
	w := mustCreate(t, filepath.Join(t.TempDir(), "a"), Options{Synchronous: true})
	if err := w.Append(TypeInput, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if s := w.Stats(); s.Appended != 3 || s.Synced != 3 {
		t.Errorf("%+v", s)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
}
