// SPDX-License-Identifier: Apache-2.0

package external

import (
	"time"

	"github.com/parley-voice/parley/node/external/protocol"
)

const (
	tick        = 20 * time.Millisecond
	sampleEvery = 5  // ticks
	rateEvery   = 50 // ticks: a second
)

// watch holds the process to its limits until it ends. The host's clock counts, not the child's.
func (p *process) watch() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var m meter
	if p.program.failing() {
		m.rank = suspect(p.program.plan.limits.cpu)
	}
	bytes := int64(0)
	for n := 1; ; n++ {
		select {
		case <-p.ended:
			return
		case <-ticker.C:
		}
		p.watchWire()
		p.watchInstances()
		if n%sampleEvery == 0 {
			p.watchResources(&m)
		}
		if cpu, ok := p.spent(); ok {
			p.rank(&m, cpu)
		}
		now := p.bytes.Load()
		if most := p.program.plan.limits.outputBytesPerSec; now-bytes > most {
			p.end(p.program.fault(protocol.CodeLimit, "limits.output_bytes_per_s: %d bytes came in less than a second, %d may", now-bytes, most))
		}
		if n%rateEvery == 0 {
			bytes = now
		}
	}
}

// watchWire ends a process that does not read, sends a frame that never ends, or does not answer.
func (p *process) watchWire() {
	now, l := p.now(), &p.program.plan.limits
	since := func(v int64) bool { return v != 0 && now-time.Duration(v) > l.time }
	if since(p.writes.Load()) {
		p.end(p.program.fault(protocol.CodeTimeout, "it has not read for %d ms", l.time.Milliseconds()))
	}
	if since(p.partial.Load()) {
		p.end(p.program.fault(protocol.CodeViolation, "frame: it is not complete %d ms after it began: send whole frames", l.time.Milliseconds()))
	}
	p.mu.Lock()
	suspect, shutUp, idle := p.suspect, p.shutUp, p.empty != 0 && now-p.empty > p.program.kind.options.Idle
	p.mu.Unlock()
	switch {
	case suspect != 0 && now-suspect > hangLimit:
		p.end(p.program.fault(protocol.CodeTimeout, "the process has not answered a ping within %d ms", hangLimit.Milliseconds()))
	case shutUp != 0 && now > shutUp:
		p.end(p.program.fault(protocol.CodeTimeout, "the process has not ended within %d ms of being asked to", stopLimit.Milliseconds()))
	case idle:
		p.shutdown()
	}
}

// watchInstances fails the instances whose time is over.
func (p *process) watchInstances() {
	p.mu.Lock()
	list := make([]*instance, 0, len(p.instances))
	for _, i := range p.instances {
		list = append(list, i)
	}
	p.mu.Unlock()
	now := p.now()
	for _, i := range list {
		i.check(now)
	}
}

// ask finds out whether a process is there at all.
func (p *process) ask() {
	p.mu.Lock()
	out := p.suspect != 0
	if !out {
		p.suspect = p.now()
	}
	p.mu.Unlock()
	if !out {
		// Whoever is here must not wait for a process that may not read.
		go func() { _ = p.send(&protocol.Message{Type: protocol.TypePing, Nonce: uint64(p.now())}) }()
	}
}

// cpuWindow is how long a process has to use more than its processor time, before it is too much.
const cpuWindow = time.Second

// meter follows what a process uses.
type meter struct {
	at   time.Duration
	cpu  time.Duration // used at at
	over time.Duration // since when it uses too much
	rank allowance
}

// usage is what the process and its descendants use, as far as they are seen.
type usage struct {
	memory int64 // bytes
	cpu    time.Duration
	tasks  int64 // threads of all of them
}

// watchResources holds the process to memory, tasks and processor time.
func (p *process) watchResources(m *meter) {
	u, ok := p.measure()
	if !ok {
		return
	}
	now, l := p.now(), &p.program.plan.limits
	p.memory.Store(u.memory)
	p.tasks.Store(u.tasks)
	if took := now - m.at; m.at != 0 && took > 0 {
		units := int64(max(0, u.cpu-m.cpu) * 1000 / took)
		p.cpu.Store(units)
		if units <= l.cpu+l.cpu/10 {
			m.over = 0
		} else if m.over == 0 {
			m.over = m.at
		}
	}
	m.at, m.cpu = now, u.cpu
	if p.mayFork() {
		p.rank(m, u.cpu)
	}
	switch {
	case u.memory > l.memory<<20:
		p.end(p.program.fault(protocol.CodeLimit, "limits.memory_mb: it uses %d MB, %d is what it may", u.memory>>20, l.memory))
	case u.tasks > l.tasks:
		p.end(p.program.fault(protocol.CodeLimit, "limits.tasks: it has %d threads and processes, %d is what it may", u.tasks, l.tasks))
	case m.over != 0 && now-m.over > cpuWindow:
		p.end(p.program.fault(protocol.CodeLimit, "limits.cpu_units: it used more than %d for %v, the last %d", l.cpu, cpuWindow, p.cpu.Load()))
	}
}

// rank puts a process that uses more than its processor time behind everybody else, and back where
// it stood when it no longer does, as far as the host may.
func (p *process) rank(m *meter, cpu time.Duration) {
	if m.rank.use(p.now(), cpu, p.program.plan.limits.cpu) {
		p.putBehind(m.rank.behind)
	}
}
