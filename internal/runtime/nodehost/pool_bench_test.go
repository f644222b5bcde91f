// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"fmt"
	"sync"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
)

// BenchmarkDispatch is a piece of work from Launch to its end, for one session alone and for
// many at a time, beside a goroutine that is started for it.
func BenchmarkDispatch(b *testing.B) {
	b.Run("goroutine", func(b *testing.B) {
		done := make(chan struct{})
		work := func() { done <- struct{}{} }
		b.ReportAllocs()
		for b.Loop() {
			go work()
			<-done
		}
	})
	b.Run("pool", func(b *testing.B) {
		done := make(chan struct{})
		task := (&Pool{}).Seat("s").Task("n", false, func(bool) bool { done <- struct{}{}; return false })
		b.ReportAllocs()
		for b.Loop() {
			task.Launch()
			<-done
		}
	})
	b.Run("sessions=1000", func(b *testing.B) {
		p := &Pool{}
		var round sync.WaitGroup
		list := make([]*Task, 1000)
		for i := range list {
			list[i] = p.Seat(eventabi.SessionID(fmt.Sprint(i))).Task("n", false, func(bool) bool { round.Done(); return false })
		}
		b.ReportAllocs()
		for b.Loop() {
			round.Add(len(list))
			for _, t := range list {
				t.Launch()
			}
			round.Wait()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(list)), "ns/task")
	})
}
