// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// model is a host under arrivals: sessions whose cost shows late and wavers, and a
// processor that counts what they spend.
type model struct {
	random     timebase.Random
	slots      Slots
	processors int64
	costUS     int64 // processor time a session-second, on the average
	quietMS    int64 // a session costs nothing for so long
	waver      int64 // its cost is off by up to this share, in per cent, from second to second

	at       timebase.Instant
	busy     timebase.Span
	sessions []modelled
	most     int64
	refused  map[string]int
}

type modelled struct {
	ticket Ticket
	began  timebase.Instant
	ends   timebase.Instant
}

func newModel(seed uint64, c SlotConfig) *model {
	return &model{
		random: timebase.NewRandom(seed), slots: NewSlots(c), processors: c.Processors,
		costUS: 20_000, quietMS: 2_000, waver: 50, refused: map[string]int{},
	}
}

// capacity is what the host can truly carry.
func (m *model) capacity() int64 { return m.processors * 700 * 1000 / m.costUS }

// run lets time pass in steps of 50 ms, with so many arrivals a second whose sessions
// last so long (0 = for good).
func (m *model) run(ms, arrivals, lastsMS int64) {
	const step = 50
	for end := m.at.Add(timebase.MS(ms)); m.at < end; {
		m.at = m.at.Add(timebase.MS(step))
		kept := m.sessions[:0]
		for _, s := range m.sessions {
			if s.ends != 0 && m.at >= s.ends {
				m.slots.Leave(m.at, s.ticket)
				continue
			}
			if m.at.Sub(s.began) > timebase.MS(m.quietMS) {
				cost := m.costUS * m.random.Between(100-m.waver, 100+m.waver) / 100
				m.busy += timebase.Span(cost*step/1000) * timebase.Microsecond
			}
			kept = append(kept, s)
		}
		m.sessions = kept
		if m.at.MS()%250 == 0 {
			m.slots.Measure(m.at, m.busy, false)
		}
		for n := arrivals * step / 1000; n > 0; n-- {
			m.arrive(lastsMS)
		}
		m.most = max(m.most, int64(len(m.sessions)))
	}
}

func (m *model) arrive(lastsMS int64) {
	if v := m.slots.Verdict(m.at); !v.Passes() {
		m.refused[v.Reason]++
		return
	}
	s := modelled{ticket: m.slots.Enter(m.at), began: m.at}
	if lastsMS > 0 {
		s.ends = m.at.Add(timebase.MS(m.random.Between(lastsMS/2, lastsMS*3/2)))
	}
	m.sessions = append(m.sessions, s)
}

// A step load of three times what fits never lets more in than fits and a little, from a
// cold start and from a warm one, whatever the sessions cost and however late that shows;
// what fits is nearly all used; and when the load goes, so does the shortage.
func TestStepLoad(t *testing.T) {
	for seed := range uint64(40) {
		m := newModel(seed, SlotConfig{TargetPerMille: 700, Processors: 2 + int64(seed%7)})
		m.costUS = []int64{2_000, 7_000, 20_000, 60_000}[seed%4]
		m.quietMS = []int64{0, 1_000, 4_000}[seed%3]
		m.waver = int64(seed%3) * 40
		fits := m.capacity()
		lasting := int64(30_000)
		rate := max(3*fits*1000/lasting, 20)
		m.run(120_000, rate, lasting)
		cold := m.most
		m.most = 0
		m.run(60_000, rate, lasting)
		if over := fits + fits/8 + 1; cold > over || m.most > over {
			t.Errorf("seed %d: %d sessions fit; %d were in at once after a cold start, %d later", seed, fits, cold, m.most)
		}
		if m.most < fits*3/4 {
			t.Errorf("seed %d: %d sessions fit and only %d got in", seed, fits, m.most)
		}
		if m.refused[reasonBusy] == 0 || m.refused[reasonSlowStart] == 0 {
			t.Errorf("seed %d: refusals %v: both kinds should occur", seed, m.refused)
		}
		// The load goes to a third of what fits: nobody is refused once it has gone.
		m.run(60_000, max(fits*1000/(3*lasting), 0), lasting)
		before := len(m.refused)
		clear(m.refused)
		m.run(30_000, max(fits*1000/(3*lasting), 0), lasting)
		if len(m.refused) > 0 {
			t.Errorf("seed %d: with a third of the load, refusals of %d kinds, before %d: %v", seed, len(m.refused), before, m.refused)
		}
	}
}

// Sessions that become dearer shrink the capacity within seconds; those that are in stay.
func TestDearerSessions(t *testing.T) {
	m := newModel(5, SlotConfig{TargetPerMille: 700, Processors: 4})
	m.run(60_000, 40, 0)
	if got, fits := int64(len(m.sessions)), m.capacity(); got < fits*3/4 || got > fits*9/8 {
		t.Fatalf("%d sessions of %d that fit", got, fits)
	}
	in := len(m.sessions)
	m.costUS *= 3
	m.run(10_000, 40, 0)
	if len(m.sessions) != in {
		t.Errorf("%d sessions were let in while %d were too many", len(m.sessions)-in, in)
	}
	if c := m.slots.Capacity(); c > m.capacity()*5/4 {
		t.Errorf("the capacity is thought to be %d, and is %d", c, m.capacity())
	}
}

// A configured capacity is the capacity, at once and whatever it costs.
func TestConfiguredSlots(t *testing.T) {
	m := newModel(1, SlotConfig{TargetPerMille: 700, MaxSessions: 7})
	m.run(1_000, 1_000, 0)
	if len(m.sessions) != 7 {
		t.Errorf("%d sessions, 7 are configured", len(m.sessions))
	}
	v := m.slots.Verdict(m.at)
	want := Verdict{Outcome: "defer", Reason: "capacity:max_sessions", RetryAfterMS: 5000, Used: 7, Max: 7}
	if v != want {
		t.Errorf("%+v, want %+v", v, want)
	}
	m.slots.Leave(m.at, m.sessions[0].ticket)
	if !m.slots.Verdict(m.at).Passes() || m.slots.Open() != 6 {
		t.Error("a slot that was given back is not free")
	}
}

// Both bounds may hold: the tighter one counts, and the reason says which.
func TestConfiguredAndEstimated(t *testing.T) {
	m := newModel(1, SlotConfig{TargetPerMille: 700, MaxSessions: 40, Processors: 4})
	m.costUS = 1_000 // 2800 would fit
	m.run(60_000, 40, 0)
	if len(m.sessions) != 40 || m.slots.Verdict(m.at).Reason != reasonFull {
		t.Errorf("%d sessions, then %+v", len(m.sessions), m.slots.Verdict(m.at))
	}
	m = newModel(1, SlotConfig{TargetPerMille: 700, MaxSessions: 400, Processors: 4}) // 140 fit
	m.run(60_000, 40, 0)
	if n := len(m.sessions); n < 100 || n > 160 || m.slots.Verdict(m.at).Reason != reasonBusy {
		t.Errorf("%d sessions, then %+v", n, m.slots.Verdict(m.at))
	}
}

// While nothing is known, no more than the burst begin before they have shown their cost.
func TestSlowStart(t *testing.T) {
	s := NewSlots(SlotConfig{TargetPerMille: 700, Processors: 2, Burst: 3})
	at := ms(400)
	var tickets []Ticket
	for s.Verdict(at).Passes() {
		tickets = append(tickets, s.Enter(at))
	}
	v := s.Verdict(at)
	if len(tickets) != 3 || v.Reason != "capacity:slow_start" || v.Outcome != "defer" || v.RetryAfterMS != 1000 || v.Used != 3 || v.Max != 3 {
		t.Errorf("%d were let in, then %+v", len(tickets), v)
	}
	s.Leave(at, tickets[0]) // who leaves young makes room for another
	if s.Young() != 2 || !s.Verdict(at).Passes() {
		t.Errorf("%d are young after one has left", s.Young())
	}
	if at = ms(5_999); s.Young() != 2 {
		t.Error("a session settles before its time")
	}
	if s.Verdict(at); s.Young() != 2 {
		t.Error("a session settles before its time")
	}
	at = ms(6_000) // the window in which they began, and five more
	if !s.Verdict(at).Passes() || s.Young() != 0 || s.Open() != 2 {
		t.Errorf("%d are young, %d open", s.Young(), s.Open())
	}
	s.Leave(at, tickets[1]) // old: nothing to take from the young
	if s.Young() != 0 || s.Open() != 1 {
		t.Errorf("%d are young, %d open", s.Young(), s.Open())
	}
}

// Measurements count once a window, go nowhere without sessions, and survive a clock of
// processor time that stands or goes back.
func TestMeasure(t *testing.T) {
	s := NewSlots(SlotConfig{TargetPerMille: 700, Processors: 1})
	s.Measure(ms(0), timebase.MS(500), false)
	if s.Cost() != 0 || s.Capacity() != MaxSlots {
		t.Error("a first reading measures nothing")
	}
	t1 := s.Enter(ms(0))
	s.Measure(ms(6_000), timebase.MS(500), false) // settles; and cost nothing
	if s.Cost() == 0 || s.Capacity() != MaxSlots {
		t.Errorf("sessions that cost nothing: cost %d, capacity %d", s.Cost(), s.Capacity())
	}
	s.Measure(ms(7_000), timebase.MS(600), false) // 100 ms a second
	cost := s.Cost()
	s.Measure(ms(7_500), timebase.MS(1_100), false) // within the window: not yet
	if s.Cost() != cost {
		t.Error("a measurement within a window counts")
	}
	for i := range int64(60) {
		s.Measure(ms(8_000+i*1_000), timebase.MS(700+i*100), false)
	}
	if got := s.Cost(); got < 95_000_000 || got > 105_000_000 {
		t.Errorf("a second costs %d ns, want 100 ms", got)
	}
	if got := s.Capacity(); got < 6 || got > 7 {
		t.Errorf("capacity %d, want 7: 700 ms of a processor at 100 ms each", got)
	}
	s.Leave(ms(67_000), t1)
	cost = s.Cost()
	for i := range int64(5) { // the host does something else, and its clock stands and goes back
		s.Measure(ms(68_000+i*1_000), timebase.MS([]int64{99_000, 99_000, 1, 1, 200_000}[i]), false)
	}
	if s.Open() != 0 || s.Cost() != cost {
		t.Errorf("without sessions the cost went from %d to %d", cost, s.Cost())
	}
}

// Tickets and windows: however sessions come and go, the young are never more than the
// open, and never negative.
func TestSlotsAddUp(t *testing.T) {
	r := timebase.NewRandom(11)
	for range 300 {
		s := NewSlots(SlotConfig{TargetPerMille: 700, Processors: 2, WindowMS: r.Between(1, 400), SettleMS: r.Between(1, 400)})
		if s.config.SettleMS/s.config.WindowMS >= maxYoung-1 {
			continue
		}
		at := timebase.Instant(0)
		var open []modelled
		for range 400 {
			at = at.Add(timebase.Span(r.Below(int64(timebase.MS(r.Between(1, 300))))))
			if r.Chance(1, 2) || len(open) == 0 {
				open = append(open, modelled{ticket: s.Enter(at), began: at})
			} else {
				i := r.Below(int64(len(open)))
				s.Leave(at, open[i].ticket)
				open = append(open[:i], open[i+1:]...)
			}
			young := int64(0)
			for _, o := range open {
				if at.Sub(o.began) < timebase.MS(s.config.SettleMS) {
					young++
				}
			}
			if s.Open() != int64(len(open)) || s.Young() < young || s.Young() > s.Open() {
				t.Fatalf("%d open, %d young; %d hold tickets, %d of them surely young", s.Open(), s.Young(), len(open), young)
			}
		}
	}
}

// A host that is late because others have its processors must not take that for sessions
// that cost less, and let in more of them; that they cost more it believes.
func TestLateHostDoesNotGrow(t *testing.T) {
	s := NewSlots(SlotConfig{TargetPerMille: 700, Processors: 2})
	for range 100 {
		s.Enter(ms(0))
	}
	busy := timebase.Span(0)
	second := func(n int64, spent timebase.Span, late bool) {
		busy += spent
		s.Measure(ms(n*1000), busy, late)
	}
	for n := range int64(20) {
		second(10+n, 100*timebase.Millisecond, false) // 1 ms a session second
	}
	known := s.Capacity()
	if known < 1300 || known > 1400 {
		t.Fatalf("%d sessions of 1 ms a second each fit on 70 %% of two processors", known)
	}
	for n := range int64(20) {
		second(30+n, 10*timebase.Millisecond, true)
	}
	if got := s.Capacity(); got != known {
		t.Errorf("a starved host of %d slots has %d", known, got)
	}
	for n := range int64(20) {
		second(50+n, 200*timebase.Millisecond, true)
	}
	if got := s.Capacity(); got > known*6/10 {
		t.Errorf("sessions cost twice as much, and of %d slots there are %d", known, got)
	}
	for n := range int64(60) {
		second(70+n, 100*timebase.Millisecond, false)
	}
	if got := s.Capacity(); got < known*9/10 {
		t.Errorf("the host is in time again, and of %d slots there are %d", known, got)
	}
}
