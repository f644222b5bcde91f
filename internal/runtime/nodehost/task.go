// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// Key is a fairness key: its work is served in turn with that of other keys, the oldest
// first. Everything in it belongs to the pool's lock.
type Key struct {
	name    string
	refs    int // seats that hold it
	queue   tasks
	running int // pieces on workers
	stalled int // pieces whose workers were replaced
	linked  bool
	prev    *Key
	next    *Key
	tallies []*tally
}

// tally counts the outstanding tasks of a node under one key (flow section 7).
type tally struct {
	key         *Key
	node        eventabi.NodeID
	outstanding int64
	waiting     tasks
	claims      []*Claim
}

// full says that a limit is reached; 0 is none.
func (y *tally) full(limit int64) bool { return limit > 0 && y.outstanding >= limit }

// waits says that somebody waits for a place.
func (y *tally) waits() bool { return len(y.claims) > 0 || y.waiting.head != nil }

func (k *Key) tally(node eventabi.NodeID) *tally {
	for _, y := range k.tallies {
		if y.node == node {
			return y
		}
	}
	y := &tally{key: k, node: node}
	k.tallies = append(k.tallies, y)
	return y
}

type taskState uint8

const (
	taskIdle    taskState = iota
	taskLimited           // waits for its node's limit
	taskQueued            // waits for a worker
	taskUrgent            // waits for a worker, ahead of the rest
	taskRunning
)

// Task is a piece of work of one node. One that is prepared is started again and again,
// and waits for itself only: started while it waits or runs, it runs once more.
type Task struct {
	pool  *Pool
	key   *Key
	tally *tally
	max   int64 // of the tally; 0 = no limit
	run   func(urgent bool) (again bool)

	// The pool's lock guards the rest.
	state       taskState
	counted     bool // in its tally
	charged     bool // to its key's workers
	stalled     bool // its worker was replaced
	again, urge bool
	since       int64
	in          *tasks
	prev, next  *Task
}

// Launch has the task run when its key's turn comes. It does not wait, and what it has to
// do is not lost when the pool is full: that waits in its edge.
func (t *Task) Launch() {
	p := t.pool
	p.mu.Lock()
	switch t.state {
	case taskIdle:
		p.admit(t, true)
	case taskRunning:
		t.again = true
	case taskLimited, taskQueued, taskUrgent:
	}
	p.mu.Unlock()
}

// Restart has the task run ahead of everything that is queued, also where all workers are
// busy: it has a hook to run. A closed pool takes it as well.
func (t *Task) Restart() {
	p := t.pool
	p.mu.Lock()
	switch t.state {
	case taskIdle:
		p.running.Add(1)
		p.urge(t)
	case taskRunning:
		t.again, t.urge = true, true
	case taskLimited, taskQueued, taskUrgent:
	}
	p.mu.Unlock()
}

// Urge puts the task ahead of everything that is queued; if it runs and is to run again,
// then. One that a closed pool did not take is run.
func (t *Task) Urge() {
	p := t.pool
	p.mu.Lock()
	var granted func()
	switch t.state {
	case taskIdle:
		p.running.Add(1)
		p.urge(t)
	case taskUrgent:
	case taskLimited:
		t.in.remove(t)
		p.urge(t)
	case taskQueued:
		t.in.remove(t)
		p.queued.Add(-1)
		p.link(t.key)
		granted = p.uncount(t)
		p.urge(t)
	case taskRunning:
		t.urge = true
	}
	p.mu.Unlock()
	if granted != nil {
		granted()
	}
}

// Counts says that there is a limit to the runs.
func (t *Task) Counts() bool { return t.max > 0 }

// Crowded says that others wait for a worker. It takes no lock.
func (t *Task) Crowded() bool { return t.pool.queued.Load() > 0 }

// count takes a place in the tally.
func (t *Task) count() {
	if t.max > 0 && !t.counted {
		t.counted = true
		t.tally.outstanding++
	}
}

// uncount gives a task's place in its tally to whoever waits for it. The lock is held.
func (p *Pool) uncount(t *Task) (granted func()) {
	if !t.counted {
		return nil
	}
	t.counted = false
	return p.pass(t.tally)
}

// pass gives one place of a tally to those that wait for it. The lock is held; granted is to
// be called without it.
func (p *Pool) pass(y *tally) (granted func()) {
	y.outstanding--
	return p.grant(y)
}

// grant gives places of a tally to those that wait and fit: claims first, then tasks, each in
// the order in which they came. Limits may differ under one key: nobody goes ahead because
// its own is higher. The lock is held; granted is to be called without it.
func (p *Pool) grant(y *tally) (granted func()) {
	for len(y.claims) > 0 && !y.full(y.claims[0].max) {
		c := y.claims[0]
		y.claims = append(y.claims[:0], y.claims[1:]...)
		y.outstanding++
		c.held = true
		if before := granted; before != nil {
			granted = func() { before(); c.granted() }
		} else {
			granted = c.granted
		}
	}
	for t := y.waiting.head; t != nil && len(y.claims) == 0 && !y.full(t.max); t = y.waiting.head {
		y.waiting.remove(t)
		t.count()
		p.enqueue(t)
	}
	p.drop(y.key)
	return granted
}

// drop forgets a shared key that no seat holds, once nothing under it is outstanding: whoever
// takes the same key before that counts on. The lock is held.
func (p *Pool) drop(k *Key) {
	if k.refs > 0 || p.keys[k.name] != k {
		return
	}
	for _, y := range k.tallies {
		if y.outstanding > 0 {
			return
		}
	}
	delete(p.keys, k.name)
}

// tasks is a list of tasks that needs no memory of its own.
type tasks struct {
	head, tail *Task
	len        int
}

func (l *tasks) push(t *Task) {
	t.in, t.prev, t.next = l, l.tail, nil
	if l.tail != nil {
		l.tail.next = t
	} else {
		l.head = t
	}
	l.tail = t
	l.len++
}

func (l *tasks) pop() *Task {
	t := l.head
	if t != nil {
		l.remove(t)
	}
	return t
}

func (l *tasks) remove(t *Task) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		l.head = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		l.tail = t.prev
	}
	t.in, t.prev, t.next = nil, nil, nil
	l.len--
}

// Seat is one session's place in a pool: its own fairness key, and the keys and limits that
// were set for its nodes.
type Seat struct {
	pool  *Pool
	own   Key
	nodes []seatNode
}

type seatNode struct {
	id    eventabi.NodeID
	key   *Key
	limit int64
}

// NodePolicy is how the tasks of one node are scheduled.
type NodePolicy struct {
	Node eventabi.NodeID
	// Key is the fairness key, shared with whoever has the same; empty = the session's own.
	Key string
	// Limit bounds the outstanding tasks of the node under its key; 0 = no limit.
	Limit int64
}

// Seat takes a place in the pool. Leave gives it back.
func (p *Pool) Seat(session eventabi.SessionID, list ...NodePolicy) *Seat {
	s := &Seat{pool: p}
	s.own.name = string(session)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setUp()
	for _, n := range list {
		key := &s.own
		if n.Key != "" {
			key = p.keys[n.Key]
			if key == nil {
				key = &Key{name: n.Key}
				if p.keys == nil {
					p.keys = map[string]*Key{}
				}
				p.keys[n.Key] = key
			}
			key.refs++
		}
		s.nodes = append(s.nodes, seatNode{id: n.Node, key: key, limit: max(0, n.Limit)})
	}
	return s
}

// Leave gives the shared keys back. What is under way goes on, and counts.
func (s *Seat) Leave() {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range s.nodes {
		if k := s.nodes[i].key; k != &s.own {
			k.refs--
			p.drop(k)
		}
	}
	s.nodes = nil
}

// place gives the key and the limit of a node. The lock is held.
func (s *Seat) place(node eventabi.NodeID) (*Key, int64) {
	for i := range s.nodes {
		if s.nodes[i].id == node {
			return s.nodes[i].key, s.nodes[i].limit
		}
	}
	return &s.own, 0
}

// Task prepares work of a node that waits when it has to. limited has its runs counted
// against the node's limit. run says whether it wants to run again; an urgent run is
// short, because it holds up all others.
func (s *Seat) Task(node eventabi.NodeID, limited bool, run func(urgent bool) (again bool)) *Task {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return s.task(node, limited, run)
}

func (s *Seat) task(node eventabi.NodeID, limited bool, run func(urgent bool) (again bool)) *Task {
	key, limit := s.place(node)
	t := &Task{pool: s.pool, key: key, run: run}
	if limited && limit > 0 {
		t.tally, t.max = key.tally(node), limit
	}
	return t
}

// Try runs work of a node once, as soon as its key's turn comes. The reason says why it
// cannot be scheduled.
func (s *Seat) Try(node eventabi.NodeID, work func()) controlplane.ShedReason {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	t := s.task(node, false, func(bool) bool { work(); return false })
	return s.pool.admit(t, false)
}

// Claim is one outstanding task of a node that is not a piece of work on a worker: a call
// of a provider, from its dispatch to its end.
type Claim struct {
	pool    *Pool
	tally   *tally
	max     int64
	granted func()
	held    bool
	over    bool
}

// Claim counts a task of a node. Where the node's limit is reached, or others wait, it is refused, or waits,
// if there is somebody to be told: granted is called then, once, on any goroutine. Without
// a limit there is nothing to count, and the claim is nil.
func (s *Seat) Claim(node eventabi.NodeID, granted func()) (c *Claim, now bool, why controlplane.ShedReason) {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	key, limit := s.place(node)
	if p.closed {
		p.counts.Closed++
		return nil, false, controlplane.ShedPoolClosed
	}
	if limit == 0 {
		return nil, true, ""
	}
	y := key.tally(node)
	c = &Claim{pool: p, tally: y, max: limit, granted: granted}
	switch {
	case !y.full(limit) && !y.waits():
		y.outstanding++
		c.held = true
		return c, true, ""
	case granted == nil:
		p.counts.AtLimit++
		return nil, false, controlplane.ShedNodeLimited
	}
	p.counts.Limited++
	y.claims = append(y.claims, c)
	return c, false, ""
}

// Give ends a claim, also one that still waits. It may be called twice, and on nil.
func (c *Claim) Give() {
	if c == nil {
		return
	}
	p := c.pool
	p.mu.Lock()
	var granted func()
	switch {
	case c.over:
	case c.held:
		granted = p.pass(c.tally)
	default:
		for i, x := range c.tally.claims {
			if x == c {
				c.tally.claims = append(c.tally.claims[:i], c.tally.claims[i+1:]...)
				break
			}
		}
		granted = p.grant(c.tally) // who stood behind it may fit
	}
	c.over = true
	p.mu.Unlock()
	if granted != nil {
		granted()
	}
}

// AtOnce is a Starter where time stands still while work runs: work runs before whoever
// starts it goes on.
type AtOnce func(urgent bool) (again bool)

// Launch runs it.
func (run AtOnce) Launch() {
	for again := true; again; {
		again = run(false)
	}
}

// Restart runs it.
func (run AtOnce) Restart() { run.Launch() }

// Urge has nothing to do: it has run.
func (run AtOnce) Urge() {}

// Crowded says no.
func (run AtOnce) Crowded() bool { return false }

// Counts says no: no two run at a time.
func (run AtOnce) Counts() bool { return false }
