// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// ingress is P2: events from another goroutine into a shard's inbox, taken out in
// batches, against the raw ring that one goroutine uses alone.
func ingress(o Options) Result {
	return pair(o, Result{
		ID: "P2", Subject: "ingress from another goroutine, batched", Denominator: "raw 72-byte ring push+pop",
		Unit: "ns/event", Limit: 5, Target: "<= 5x",
	}, func() float64 { return perOp(o.Each, ringLoop(o.Now)) }, func() float64 { return perOp(o.Each, inboxLoop(o.Now)) })
}

// inboxLoop has one goroutine post and another drain, as a transport and a shard do.
func inboxLoop(now func() time.Time) loop {
	return func(n int) time.Duration {
		inbox := sessionhost.NewInbox[event]()
		var producer sync.WaitGroup
		start := now()
		producer.Go(func() {
			var e event
			for i := range n {
				e.generation = uint64(i)
				inbox.Post(flow.Data, e)
			}
		})
		var batch []event
		for got, next := 0, uint64(0); got < n; {
			batch = inbox.Drain(flow.Data, batch)
			for i := range batch {
				if batch[i].generation != next {
					panic("bench: the inbox lost an event or its order")
				}
				next++
			}
			got += len(batch)
			if len(batch) == 0 && inbox.Sleep() {
				<-inbox.Wake()
			}
		}
		took := now().Sub(start)
		producer.Wait()
		return took
	}
}
