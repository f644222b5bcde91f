// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"reflect"
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// book keeps the accounts of an edge from outside: what was offered, what came of each
// item by what the log said, its own clock, its own credits. After every call it checks
// that edge and accounts agree. It knows nothing of how the edge decides.
type book struct {
	t    witness
	s    *Spec
	e    *Edge
	twin *Edge // lives through the same calls
	log  Log
	echo Log
	tape bool // the consumer is known by its position
	// variety is how many streams and scopes there are beside the first.
	variety int64
	now     timebase.Instant
	seq     int64
	end     timebase.Samples

	clock  timebase.Span // the edge's, as the book counts it
	paused bool

	all       []*entry // all[i] has sequence and handle i+1
	delivered []Item   // by the call under way
	lasts     [laneCount]int64
	ordinals  [laneCount]int64
	dropCount int64 // handles let go so far,
	before    int64 // and before the call under way
	hand      int64 // credits in the producer's hand
	opened    bool
	above     bool
	off       [laneCount]bool
	number    int64
	lost      map[int64]bool  // groups that a notice declared lost
	excused   map[int64]bool  // protected items that the log called unrecoverable
	previous  map[Lane]*Event // the notice before, with nothing delivered since
	fenced    func(it *Item) bool
	met       map[What]int // events so far, where they are counted
	verdicts  map[Verdict]int
}

// witness is told what does not agree.
type witness interface {
	Helper()
	Fatalf(format string, args ...any)
}

// entry is what the book knows of one item.
type entry struct {
	Item
	waits    bool
	stuck    bool
	until    timebase.Instant
	entered  timebase.Span
	inside   bool // it has come into the queue
	resolved bool // its handle is released, joined or delivered
	fate     fate
	ordinal  int64 // among the offers of its lane
	dropped  int64 // when, among the drops
	noticed  bool
}

type fate uint8

const (
	open fate = iota // it lies there, waits, or was merged into what does
	reached
	gone
	single // control that was said again
	breached
)

func newBook(t witness, s *Spec, tape bool) *book {
	return &book{
		t: t, s: s, e: NewEdge(s), twin: NewEdge(s), tape: tape,
		lost: map[int64]bool{}, excused: map[int64]bool{}, previous: map[Lane]*Event{},
	}
}

// call runs something on both edges, and wants the same of both.
func (b *book) call(f func(e *Edge, log *Log) any) any {
	b.t.Helper()
	b.log.Reset()
	b.echo.Reset()
	b.delivered, b.before = b.delivered[:0], b.dropCount
	got, again := f(b.e, &b.log), f(b.twin, &b.echo)
	if !reflect.DeepEqual(got, again) || !slices.EqualFunc(b.log.List, b.echo.List, func(x, y Event) bool { return reflect.DeepEqual(x, y) }) {
		b.t.Fatalf("the same calls, and not the same: %v %v, then %v %v", got, b.log.List, again, b.echo.List)
	}
	return got
}

func (b *book) advance(by timebase.Span) {
	b.now = b.now.Add(by)
	if !b.paused {
		b.clock += by
	}
	if b.e.Due() <= b.now {
		b.call(func(e *Edge, log *Log) any { e.Expire(b.now, log); return nil })
		b.settled()
	}
}

func (b *book) offer(it Item) { b.offered(it, NoReason) }

// offered offers an item that the edge is to refuse for a reason, if there is one.
func (b *book) offered(it Item, unwanted Reason) {
	b.seq++
	it.Seq, it.Handle = b.seq, b.seq
	b.ordinals[it.Lane]++
	x := &entry{Item: it, ordinal: b.ordinals[it.Lane]}
	x.First = it.Seq
	b.all = append(b.all, x)
	must := unwanted != NoReason && it.Lane != Control && !b.holds(&x.Item)
	v := b.call(func(e *Edge, log *Log) any {
		if unwanted != NoReason {
			return e.Refuse(b.now, it, unwanted, log)
		}
		return e.Offer(b.now, it, log)
	}).(Verdict)
	if must && v != Refused {
		b.t.Fatalf("%d was not to come in, and the verdict is %d", it.Seq, v)
	}
	if it.Lane == Data {
		if b.s.credits() && !b.opened { // the first window is granted before anything is sent
			b.event(0)
			b.log.List = b.log.List[1:]
		}
		b.opened = true
		if x.paid = !b.s.credits() || b.hand > 0; b.s.credits() && x.paid {
			b.hand--
		}
	}
	if b.verdicts != nil {
		b.verdicts[v]++
	}
	switch v {
	case Taken:
		b.enter(x)
		if age := b.e.Age(b.now); it.Lane == Data && age > min(b.s.Queue, b.s.Latency) {
			b.t.Fatalf("%d came in when the oldest had waited %d ms", it.Seq, age.MS())
		}
	case Waits:
		x.waits, x.until = true, b.now.Add(b.s.Block)
	case Overflow:
		x.waits, x.stuck = true, true
	case Refused:
	case Breach:
		x.fate = breached
	}
	b.settled()
	if v == Refused && x.fate != gone {
		b.t.Fatalf("%d is refused, and its fate is %d", it.Seq, x.fate)
	}
}

// enter notes that an item has come into the queue. In credit mode only what may not be
// shed does without a credit.
func (b *book) enter(x *entry) {
	x.waits, x.stuck, x.inside, x.entered = false, false, true, b.clock
	if x.Lane == Data && !x.paid && !b.holds(&x.Item) {
		b.t.Fatalf("%d came in without a credit", x.Seq)
	}
	if x.Lane == Data && !x.paid { // a later grant pays for it
		b.hand--
	}
}

// holds says that an item may not be shed: it is protected, or under atomic_drop one of
// its group is that is not delivered yet.
func (b *book) holds(it *Item) bool {
	if it.Kind.Protected() {
		return true
	}
	return b.s.Sync == controlplane.SyncAtomicDrop && it.Group != 0 && slices.ContainsFunc(b.all, func(x *entry) bool {
		return x.Group == it.Group && x.Kind.Protected() && x.fate == open && x.Lane == Data
	})
}

// take hands over what a lane gives next. On the twin it goes through Take.
func (b *book) take() {
	var lane Lane
	found := false
	for lane = range laneCount {
		b.call(func(e *Edge, log *Log) any {
			_, found = e.Head(b.now, lane, log)
			return found
		})
		b.settled()
		if found {
			break
		}
	}
	for above := range laneCount {
		if (!found || above < lane) && b.e.lanes[above].len() > 0 {
			b.t.Fatalf("lane %d has something, and is passed over", above)
		}
	}
	if !found {
		return
	}
	x := b.call(func(e *Edge, log *Log) any {
		if e == b.e {
			return e.TakeLane(b.now, lane, log)
		}
		it, _ := e.Take(b.now, log)
		return it
	}).(Item)
	b.deliver(&x)
	b.settled()
}

func (b *book) consume(scope uint32, through timebase.Samples) {
	before := []Item{}
	for i := range b.e.lanes[Data].len() {
		before = append(before, *b.e.lanes[Data].at(i))
	}
	n := b.e.stats.Delivered[Data]
	b.call(func(e *Edge, log *Log) any { e.Consume(b.now, scope, through, log); return nil })
	n = b.e.stats.Delivered[Data] - n
	for i := range before {
		it := &before[i]
		if ours := it.Scope == scope && it.End <= through; (int64(i) < n) != ours {
			if ours { // it lies behind one that stays
				break
			}
			b.t.Fatalf("read to %d of scope %d: %d items are taken, %v not among them", through, scope, n, it)
		}
		if int64(i) >= n {
			break
		}
		b.deliver(it)
	}
	b.accounts()
	if n < int64(len(before)) && before[n].Scope == scope && before[n].End-timebase.SamplesIn(before[n].Media) < through {
		clear(b.previous) // half an item is a delivery, too
	}
}

// deliver notes that an item has reached its consumer, and checks it.
func (b *book) deliver(it *Item) {
	b.t.Helper()
	b.delivered = append(b.delivered, *it)
	if it.First <= b.lasts[it.Lane] || it.Seq < it.First {
		b.t.Fatalf("lane %d: %d..%d comes after %d", it.Lane, it.First, it.Seq, b.lasts[it.Lane])
	}
	b.lasts[it.Lane] = it.Seq
	x := b.at(it.Handle)
	if x.resolved || !x.inside {
		b.t.Fatalf("handle %d is delivered: resolved %v, in the queue %v", it.Handle, x.resolved, x.inside)
	}
	x.resolved = true
	if b.lost[it.Group] && b.s.Sync == controlplane.SyncAtomicDrop && it.Group != 0 && it.Lane == Data {
		b.t.Fatalf("%d of the lost group %d is delivered", it.Seq, it.Group)
	}
	b.lineage(it)
	since := b.at(it.Seq).entered
	if it.Kind == Audio {
		since = b.at(it.First).entered
	}
	tooOld := b.clock-since > min(b.s.Latency, b.s.Queue)
	if it.Lane == Data && !b.tape && tooOld && !b.holds(it) && b.s.Strategy != controlplane.StrategyLatestOnly {
		b.t.Fatalf("%d is delivered %d ms after it came in", it.Seq, (b.clock - since).MS())
	}
}

// lineage checks what a delivered item says of its sources.
func (b *book) lineage(it *Item) {
	sources := it.Sources
	if it.Merged == 0 {
		sources = []int64{it.Seq}
	}
	if it.Count() != int64(len(sources)) && len(sources) != maxSources || sources[0] != it.First || sources[len(sources)-1] != it.Seq {
		b.t.Fatalf("%d..%d of %d has the sources %v", it.First, it.Seq, it.Merged, sources)
	}
	var bytes int64
	var media timebase.Span
	for i, seq := range sources {
		x := b.at(seq)
		if i > 0 && seq <= sources[i-1] || x.Kind != it.Kind || x.Stream != it.Stream || x.Group != it.Group || x.Scope != it.Scope || x.Lane != it.Lane {
			b.t.Fatalf("%v is merged from %v", it, x.Item)
		}
		if len(sources) > 1 && x.Kind.Protected() {
			b.t.Fatalf("%d is protected and was merged", seq)
		}
		bytes, media = bytes+x.Bytes, media+x.Media
	}
	newest := b.at(it.Seq)
	if it.Kind != Audio {
		bytes, media = newest.Bytes, newest.Media
	}
	if !b.tape && len(sources) < maxSources && (it.Bytes != bytes || it.Media != media) {
		b.t.Fatalf("%v from %v: want %d bytes, %d ns", it, sources, bytes, media)
	}
}

func (b *book) at(seq int64) *entry { return b.all[seq-1] }

// settled checks a call after which thresholds are where they belong and nobody waits who
// need not.
func (b *book) settled() {
	b.t.Helper()
	b.accounts()
	d := b.e.Depth(b.now)
	inQueue := max(d.Media, d.Age)
	s := b.s
	high := s.HighItems > 0 && d.Items[Data] >= s.HighItems || s.HighTime > 0 && inQueue >= s.HighTime
	low := (s.HighItems == 0 || d.Items[Data] <= s.LowItems) && (s.HighTime == 0 || inQueue <= s.LowTime)
	if high && !b.above || low && b.above {
		b.t.Fatalf("above %v with %d items, %d ms", b.above, d.Items[Data], inQueue.MS())
	}
	for lane := Data; lane < laneCount; lane++ {
		n := d.Items[lane]
		stops := lane == Data && s.Action() == ActBlock && b.above
		if s.signals(lane) && ((n >= s.FlowHigh[lane] || stops) && !b.off[lane] || n <= s.FlowLow[lane] && !stops && b.off[lane]) {
			b.t.Fatalf("lane %d: stopped %v with %d items, above %v", lane, b.off[lane], n, b.above)
		}
	}
	for _, x := range b.all {
		if x.waits && !x.stuck && x.until <= b.now {
			b.t.Fatalf("%d waits past its time", x.Seq)
		}
		if x.waits && !x.stuck && b.e.Due() > x.until {
			b.t.Fatalf("%d may wait until %d, and the edge is due at %d", x.Seq, x.until, b.e.Due())
		}
	}
	if len(b.e.waiting) > 0 && b.e.waiting[0].item.paid && b.e.over(b.now, &b.e.waiting[0].item) == NoReason {
		b.t.Fatalf("there is room, and %d waits", b.e.waiting[0].item.Seq)
	}
	if b.opened && s.credits() && d.Items[Data] == 0 && d.Waiting == 0 && b.hand != b.e.window() {
		b.t.Fatalf("nothing lies there, and the producer has %d of %d credits", b.hand, b.e.window())
	}
}

// accounts checks what holds after every call.
func (b *book) accounts() {
	b.t.Helper()
	for i := range b.log.List {
		b.event(i)
	}
	b.fates()
	b.notices()
	b.bounds()
	b.conservation()
	if b.s.credits() && b.hand != b.e.credit {
		b.t.Fatalf("the producer has %d credits, the edge counts %d", b.hand, b.e.credit)
	}
	b.fenced = nil
	b.log.Reset()
	b.delivered = b.delivered[:0]
}

func (b *book) bounds() {
	d := b.e.Depth(b.now)
	s := b.s
	if d.Items[Data] > s.Items || d.Bytes > s.Bytes || d.Media > s.Queue {
		b.t.Fatalf("a bound is broken: %+v", d)
	}
	if d.Items[Control] > ControlItems || d.Items[Telemetry] > TelemetryItems || d.Waiting > maxWaiting*protectedShare {
		b.t.Fatalf("a limit is broken: %+v", d)
	}
	if len(b.e.groups) > maxGroups || cap(b.e.waiting) > 4*maxWaiting*protectedShare {
		b.t.Fatalf("the edge grows: %d groups, room for %d who wait", len(b.e.groups), cap(b.e.waiting))
	}
	for lane := range laneCount {
		q := &b.e.lanes[lane]
		if int64(cap(q.items)) > 4*b.e.stats.PeakItems[lane] {
			b.t.Fatalf("lane %d has room for %d, %d lay there at most", lane, cap(q.items), b.e.stats.PeakItems[lane])
		}
		var bytes int64
		var media timebase.Span
		held := 0
		for i := range q.len() {
			bytes, media = bytes+q.at(i).Bytes, media+q.at(i).Media
			if q.at(i).Kind.Protected() {
				held++
			}
		}
		if bytes != q.bytes || media != q.media || held != q.held {
			b.t.Fatalf("lane %d holds %d bytes, %d ns and %d protected, its books say %d, %d and %d", lane, bytes, media, held, q.bytes, q.media, q.held)
		}
	}
}

// conservation: offered = delivered + dropped + merged away + coalesced + what lies there
// or waits. By numbers, and handle by handle.
func (b *book) conservation() {
	b.t.Helper()
	st := b.e.Stats()
	d := b.e.Depth(b.now)
	var offered, inside, outside int64
	for lane := range laneCount {
		offered += st.Offered[lane]
		inside += d.Items[lane]
		outside += st.Delivered[lane]
	}
	if offered != outside+st.Drops()+st.Merged+st.Coalesced+inside+d.Waiting {
		b.t.Fatalf("books do not balance: %+v, %+v", st, d)
	}
	held := map[int64]bool{}
	hold := func(it *Item) {
		if held[it.Handle] || b.at(it.Handle).resolved {
			b.t.Fatalf("handle %d lies there twice, or is not ours any more", it.Handle)
		}
		held[it.Handle] = true
	}
	for lane := range laneCount {
		for i := range b.e.lanes[lane].len() {
			hold(b.e.lanes[lane].at(i))
		}
	}
	for i := range b.e.waiting {
		it := &b.e.waiting[i].item
		hold(it)
		if x := b.at(it.Seq); !x.waits || x.stuck != (b.e.waiting[i].until == timebase.Never) {
			b.t.Fatalf("%d waits, and nobody was told", it.Seq)
		}
	}
	for _, x := range b.all {
		if x.fate != breached && !x.resolved && !held[x.Handle] || x.resolved && x.waits {
			b.t.Fatalf("%d is nowhere", x.Seq)
		}
	}
}
