// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

const (
	idleSessions = 2000
	idleBound    = 16 << 10 // bytes
)

// idle is P8: what an idle session holds, heap and stacks, and what a caller frame
// allocates in the steady state.
func idle(o Options) ([]Result, error) {
	memory := Result{
		ID: "P8", Subject: "memory of an idle session", Denominator: "16 KB", Unit: "bytes", Base: idleBound,
		Limit: 1, Target: "<= 16 KB",
	}
	frames := Result{
		ID: "P8", Subject: "allocations a caller frame", Denominator: "none", Unit: "allocs/frame", Limit: 0, Target: "0",
	}
	host, err := sessionhost.New(sessionhost.Config{})
	if err != nil {
		return nil, err
	}
	shared := engines()
	before := inUse()
	lines := make([]*line, idleSessions)
	for i := range lines {
		lines[i] = &line{}
		if _, err := host.Open(context.Background(), settings(i, lines[i], shared)); err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
	}
	time.Sleep(o.Each) // the shards take the bootstraps
	memory.Value = float64(inUse()-before) / idleSessions
	memory.Ratio = memory.Value / idleBound
	memory.Met = memory.Ratio <= memory.Limit

	frames.Value = frameAllocations(lines[:64], o.Each)
	frames.Ratio = frames.Value
	frames.Met = frames.Value < 0.005 // what the runtime itself allocates meanwhile
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	return []Result{memory, frames}, host.Close(ctx)
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// frameAllocations counts what the process allocates while sessions hear silence.
func frameAllocations(lines []*line, each time.Duration) float64 {
	frame := make([]int16, 320)
	feed := func(n int) {
		for range n {
			for _, l := range lines {
				l.in.Audio(-1, frame)
			}
			time.Sleep(200 * time.Microsecond)
		}
	}
	feed(100) // rings and queues reach their size
	n := max(100, int(each/(500*time.Microsecond)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	feed(n)
	time.Sleep(each / 4)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n*len(lines))
}
