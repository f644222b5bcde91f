// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"
)

//go:embed floor/floor.c
var floorSource []byte

// floor is how late this machine wakes who sleeps to an absolute instant, with nothing of
// ours between: floorThreads threads, each of which wakes every 20 ms, spread over them,
// which is a wake-up each millisecond, as a shard's wheel has.
type floor struct {
	dir, program string // empty = there is no C compiler
}

const (
	floorThreads = 20
	floorPeriod  = 20 * time.Millisecond
)

// newFloor compiles the C program, if there is a compiler.
func newFloor() (*floor, error) {
	cc := ""
	for _, name := range []string{"cc", "gcc", "clang"} {
		if path, err := exec.LookPath(name); err == nil {
			cc = path
			break
		}
	}
	if cc == "" || runtime.GOOS != "linux" {
		return &floor{}, nil
	}
	dir, err := os.MkdirTemp("", "parley-floor-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	f := &floor{dir: dir, program: filepath.Join(dir, "floor")}
	source := filepath.Join(dir, "floor.c")
	if err := os.WriteFile(source, floorSource, 0o600); err != nil {
		f.remove()
		return nil, fmt.Errorf("bench: %w", err)
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if out, err := exec.CommandContext(ctx, cc, "-O2", "-pthread", "-o", f.program, source).CombinedOutput(); err != nil { //nolint:gosec // the machine's C compiler and a program of ours
		f.remove()
		return nil, fmt.Errorf("bench: compile the floor: %w: %s", err, bytes.TrimSpace(out))
	}
	return f, nil
}

func (f *floor) remove() {
	if f.dir != "" {
		removeAll(f.dir)
	}
}

// name says what was measured.
func (f *floor) name() string {
	if f.program != "" {
		return "C, absolute 20 ms sleeps"
	}
	return "locked Go threads, " + sleepName
}

// measure gives how late the wake-ups of a time were, in nanoseconds.
func (f *floor) measure(ctx context.Context, d time.Duration) ([]int64, error) {
	wakes := max(1, int(d/floorPeriod))
	if f.program == "" {
		return goFloor(wakes), nil
	}
	out, err := exec.CommandContext(ctx, f.program, strconv.Itoa(floorThreads), strconv.Itoa(wakes)).Output() //nolint:gosec // a program of ours
	if err != nil {
		return nil, fmt.Errorf("bench: the floor: %w", err)
	}
	var list []int64
	for line := range bytes.FieldsSeq(out) {
		ns, err := strconv.ParseInt(string(line), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("bench: the floor: %w", err)
		}
		list = append(list, ns)
	}
	if want := floorThreads * wakes; len(list) != want {
		return nil, fmt.Errorf("bench: the floor woke %d times, want %d", len(list), want)
	}
	return list, nil
}

// goFloor is the same on threads of ours.
func goFloor(wakes int) []int64 {
	lists := make([][]int64, floorThreads)
	began := time.Now()
	var all sync.WaitGroup
	for i := range lists {
		all.Go(func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			due := began.Add(floorPeriod * time.Duration(i) / floorThreads)
			for range wakes {
				due = due.Add(floorPeriod)
				sleepUntil(due)
				lists[i] = append(lists[i], int64(time.Since(due)))
			}
		})
	}
	all.Wait()
	var list []int64
	for _, l := range lists {
		list = append(list, l...)
	}
	return list
}
