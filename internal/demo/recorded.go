// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"io"
	"time"

	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/observability/replay"
	"github.com/parley-voice/parley/internal/observability/waits"
	"github.com/parley-voice/parley/internal/report"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// Recorded makes the report of a session again from its recording: when what happened, and
// not what was said or how it sounded, which a recording does not have. Damage is no error;
// a note of the report tells of it.
func Recorded(path string, now func() time.Time) (report.Data, error) {
	c := NewCollector(console.New(io.Discard, false, nil), NewDirector(nil, func(time.Duration, Cue) {}))
	c.remark("This is a recording's: it has what happened and when, and neither words nor sound; nor what the fence took, nor what came behind it at the sink.")
	r, err := replay.Watch(path, now, watcher{c})
	if err != nil {
		return report.Data{}, err
	}
	d := c.refused()
	d.Session.ID, d.Session.Recording, d.Session.Digest, d.Session.Mode = r.Session, path, r.Digest, report.ModeReal
	d.Session.DurationMs = max(1, report.Millis(time.Duration(r.Duration)))
	for i := range d.Turns {
		if cancel := d.Turns[i].Cancel; cancel != nil {
			cancel.FenceAppliedMs, cancel.CancelToFenceUs = nil, nil // measured by the shell alone
		}
	}
	if d.Session.Reason == "" {
		d.Session.State = ""
	}
	d.Process = report.Process{Version: r.Build}
	if r.Damage != "" {
		d.Notes = append(d.Notes, "The recording is not whole: "+r.Damage)
	}
	if r.Divergence != nil {
		d.Notes = append(d.Notes, fmt.Sprintf("This program decides otherwise than the one that recorded, from decision %d on.", r.Divergence.Decision))
	}
	return d, nil
}

// watcher shows a collector what a replay comes by.
type watcher struct{ c *Collector }

func (w watcher) Took(at timebase.Instant, r session.Record) {
	w.c.Observe(&sessionhost.Notice{At: at, Record: r})
}

func (w watcher) Look(at timebase.Instant, v waits.View) { w.c.waits.Look(at, v) }
