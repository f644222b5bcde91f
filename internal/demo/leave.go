// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/observability/timeline"
	"github.com/parley-voice/parley/internal/report"
)

// leave writes everything that the demo leaves, and gives the folder its name.
func (c *call) leave() (report.Summary, error) {
	d := c.collector.Data(c.session)
	d.Session.Recording = filepath.Join(c.config.Out, recordingName)
	d.Session.Audio = audioName
	d.Session.Mode = report.ModeReal
	if c.config.Fast {
		d.Session.Mode = report.ModeFast
	} else {
		d.Session.StartedAt = c.began.UTC().Format(time.RFC3339)
	}
	d.Session.Engines = c.config.Engines
	d.Process = process(c.config.Runtime.Build)
	if err := errors.Join(c.recorded(), c.voices(&d)); err != nil {
		return report.Summary{}, err
	}
	summary := report.SummaryOf(d)
	if err := c.folder.write(d, summary, c.mix); err != nil {
		return summary, err
	}
	return summary, c.folder.finish()
}

// refused writes what there is of a session that was not let in: its recording is there
// already, and nothing was heard.
func (c *call) refused(r *parley.Refusal) (report.Summary, error) {
	d := c.collector.refused()
	d.Session.ID = string(r.Session)
	d.Session.Recording = filepath.Join(c.config.Out, recordingName)
	d.Session.Mode = report.ModeReal
	if c.config.Fast {
		d.Session.Mode = report.ModeFast
	}
	d.Session.Engines = c.config.Engines
	d.Process = process(c.config.Runtime.Build)
	summary := report.SummaryOf(d)
	if err := c.folder.writeSummary(summary); err != nil {
		return summary, err
	}
	return summary, errors.Join(c.folder.finish(), &RefusedError{r})
}

// recorded says whether the recording was kept to its end.
func (c *call) recorded() error {
	if stats := c.session.Stats(); !stats.RecordingFailed && !stats.EvidenceLost {
		return nil
	}
	path := c.folder.path(recordingName)
	account, err := timeline.Verify(path)
	if err == nil {
		err = account.Err()
	}
	if err == nil {
		err = errors.New("some of it was lost on the way")
	}
	return fmt.Errorf("demo: %s: %w: see that the disk has room and works, or choose another --out", path, err)
}

// voices draws both tracks.
func (c *call) voices(d *report.Data) error {
	caller, agent := c.mix.Tracks()
	for _, v := range [...]struct {
		pcm []int16
		to  *report.Envelope
	}{{caller, &d.Voices.Caller}, {agent, &d.Voices.Agent}} {
		tracer, err := report.NewTracer(16000, 5)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		tracer.Add(v.pcm)
		*v.to = tracer.Envelope()
	}
	d.Session.DurationMs = float64(len(caller)) / 16
	return nil
}

func process(build string) report.Process {
	p := report.Process{
		Version: strings.TrimPrefix(build, "parley "), GoVersion: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(),
	}
	if peak, ok := PeakMemory(); ok {
		p.PeakMemoryBytes = &peak
	}
	return p
}
