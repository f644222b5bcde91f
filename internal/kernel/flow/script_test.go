// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// wide is a spec of which no bound breaks: a test narrows what it is about.
func wide(with ...func(s *Spec)) *Spec {
	s := &Spec{
		Strategy: controlplane.StrategyDrop, Victim: controlplane.VictimOldest,
		Items: 1000, Bytes: 1 << 30, Queue: timebase.MS(1 << 30), Latency: timebase.MS(1 << 30), Block: timebase.MS(20),
		FlowHigh: [laneCount]int64{1000, 1000, 1000}, FlowLow: [laneCount]int64{1, 1, 1},
		Shedding: controlplane.ShedDrop, Telemetry: controlplane.TreatBestEffortDrop, Every: controlplane.DefaultSampleEvery,
	}
	for _, f := range with {
		f(s)
	}
	return s
}

// play runs a script against a new edge. A line is a command, "=>", and what comes of it:
// the answer and then the events of the log, set apart by "; ". Without "=>" the line is
// a command of which nothing may come.
//
//	at 40                    it is 40 ms
//	offer KIND [x=n ...]     b bytes, ms of sound, g group, s stream, c scope, h handle, end position, lane
//	take, head LANE, consume SCOPE POSITION, expire, due, pause, run, announce
//	purge SCOPE REASON, withdraw SCOPE REASON, empty REASON
//	depth                    items, bytes, sound and age of the data lane, and who waits
//
// Sequences count from 1, and a handle is its item's sequence unless it is set.
func play(t *testing.T, s *Spec, script string) *Edge {
	t.Helper()
	r := &rig{e: NewEdge(s)}
	for n, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		command, want, _ := strings.Cut(line, "=>")
		r.log.Reset()
		answer := r.do(strings.Fields(command))
		parts := []string{}
		if answer != "" {
			parts = append(parts, answer)
		}
		for i := range r.log.List {
			parts = append(parts, words(&r.log.List[i]))
		}
		if got := strings.Join(parts, "; "); got != strings.TrimSpace(want) {
			t.Fatalf("line %d: %s\n got: %s\nwant: %s", n, strings.TrimSpace(command), got, strings.TrimSpace(want))
		}
	}
	return r.e
}

type rig struct {
	e   *Edge
	now timebase.Instant
	seq int64
	log Log
}

func (r *rig) do(f []string) string {
	switch f[0] {
	case "at":
		r.now = timebase.Instant(timebase.MS(number(f[1])))
		return ""
	case "offer":
		return r.offer(f[1:])
	case "refuse":
		return r.offered(f[2:], func(now timebase.Instant, it Item, log *Log) Verdict {
			return r.e.Refuse(now, it, reasonOf(f[1]), log)
		})
	case "take":
		it, ok := r.e.Take(r.now, &r.log)
		if !ok {
			return "nothing"
		}
		return describe(&it)
	case "head":
		seq, ok := r.e.Head(r.now, laneOf(f[1]), &r.log)
		return fmt.Sprint(seq, " ", ok)
	case "consume":
		r.e.Consume(r.now, uint32(number(f[1])), timebase.Samples(number(f[2])), &r.log)
	case "expire":
		r.e.Expire(r.now, &r.log)
	case "due":
		if due := r.e.Due(); due != timebase.Never {
			return fmt.Sprint(due.MS())
		}
		return "never"
	case "pause":
		r.e.Pause(r.now)
	case "run":
		r.e.Run(r.now)
	case "announce":
		r.e.Announce(&r.log)
	case "purge":
		r.e.Purge(r.now, uint32(number(f[1])), reasonOf(f[2]), &r.log)
	case "withdraw":
		r.e.Withdraw(r.now, uint32(number(f[1])), reasonOf(f[2]), &r.log)
	case "empty":
		r.e.Empty(r.now, reasonOf(f[1]), &r.log)
	case "depth":
		d := r.e.Depth(r.now)
		return fmt.Sprintf("%d %db %dms age=%d waiting=%d", d.Items[Data], d.Bytes, d.Media.MS(), d.Age.MS(), d.Waiting)
	default:
		panic("no command " + f[0])
	}
	return ""
}

func (r *rig) offer(f []string) string { return r.offered(f, r.e.Offer) }

func (r *rig) offered(f []string, give func(timebase.Instant, Item, *Log) Verdict) string {
	r.seq++
	it := Item{Seq: r.seq, Handle: r.seq, Lane: Data, Bytes: 10, Kind: kindCount}
	for k := range kindCount {
		if k.String() == f[0] {
			it.Kind = k
		}
	}
	switch it.Kind {
	case kindCount:
		panic("no kind " + f[0])
	case Audio:
		it.Bytes, it.Media = 640, timebase.MS(20)
	case Metric:
		it.Lane = Telemetry
	case Interim, Final, Semantic, Marker:
	}
	for _, x := range f[1:] {
		name, value, _ := strings.Cut(x, "=")
		switch name {
		case "b":
			it.Bytes = number(value)
		case "ms":
			it.Media = timebase.MS(number(value))
		case "g":
			it.Group = number(value)
		case "s":
			it.Stream = number(value)
		case "c":
			it.Scope = uint32(number(value))
		case "h":
			it.Handle = number(value)
		case "end":
			it.End = timebase.Samples(number(value))
		case "of":
			it.Of = value
		case "lane":
			it.Lane = laneOf(value)
		default:
			panic("no field " + name)
		}
	}
	return [...]string{"taken", "waits", "refused", "overflow", "breach"}[give(r.now, it, &r.log)]
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func laneOf(s string) Lane {
	for lane := range laneCount {
		if laneWord(lane) == s {
			return lane
		}
	}
	panic("no lane " + s)
}

func laneWord(l Lane) string { return [...]string{"control", "data", "telemetry"}[l] }

func reasonOf(s string) Reason {
	for r := range ReasonCount {
		if r.String() == s {
			return r
		}
	}
	panic("no reason " + s)
}

// describe says what an item is: its kind, its sequences, and what is not as usual.
func describe(it *Item) string {
	s := fmt.Sprintf("%v %d", it.Kind, it.Seq)
	if it.Merged > 0 {
		s += fmt.Sprintf(" of %d, %db %dms", it.Merged, it.Bytes, it.Media.MS())
	}
	if it.Handle != it.Seq {
		s += fmt.Sprint(" h=", it.Handle)
	}
	return s
}

// words puts an event into words.
func words(ev *Event) string {
	switch ev.What {
	case Released:
		return fmt.Sprint("release ", ev.Handle)
	case Joined:
		return fmt.Sprintf("join %d+%d", ev.Handle, ev.With)
	case Dropped, Discontinuous:
		s := fmt.Sprintf("%d..%d %v", ev.First, ev.Last, ev.Reason)
		if ev.Count != ev.Last-ev.First+1 {
			s += fmt.Sprint(" n=", ev.Count)
		}
		if ev.Lane != Data {
			s += " " + laneWord(ev.Lane)
		}
		if ev.Group != 0 {
			s += fmt.Sprint(" g=", ev.Group)
		}
		if ev.Number != 0 {
			s += fmt.Sprintf(" %s#%d", ev.Domain, ev.Number)
		}
		if ev.What == Dropped {
			return "drop " + s
		}
		return "reset " + s
	case HighWater:
		return fmt.Sprintf("high %d/%dms %s", ev.Items, ev.TimeMS, ev.Action)
	case LowWater:
		return fmt.Sprintf("low %d/%dms", ev.Items, ev.TimeMS)
	case XOff:
		return "xoff " + laneWord(ev.Lane)
	case XOn:
		return "xon " + laneWord(ev.Lane)
	case Granted:
		return fmt.Sprint("grant ", ev.Count)
	case Admitted:
		return fmt.Sprint("admit ", ev.Handle)
	case Pressed:
		return fmt.Sprintf("press %s %v", ev.Action, ev.Reason)
	case Overflowed:
		return fmt.Sprint("overflow ", ev.First)
	case Unrecoverable:
		return fmt.Sprintf("unrecoverable %d g=%d", ev.First, ev.Group)
	case MergedOut:
		return fmt.Sprintf("merged %d..%d n=%d %v", ev.First, ev.Last, ev.Count, ev.Sources)
	case Skipped:
		return fmt.Sprint("skip ", int64(ev.Through))
	}
	return fmt.Sprintf("%+v", *ev)
}
