// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/demo"
	"github.com/parley-voice/parley/internal/report"
)

const (
	// maxRecordings is how many recordings are listed, the latest first.
	maxRecordings = 500
	// maxDrawn is the largest recording that is drawn, in bytes.
	maxDrawn = 64 << 20
	// drawTime is how long a request waits for those before it, and may take to be drawn.
	drawTime = 60 * time.Second
	// timelinePolicy is that of a timeline, which is one file with everything in it.
	timelinePolicy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; media-src 'self'; img-src data:; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

// What lies in the folder of a recording; a demo leaves all three.
const (
	recordingFile = "recording.parley"
	timelineFile  = "timeline.html"
	soundFile     = "conversation.wav"
)

// fitToRecord makes the folder of recordings and writes to it once: a server that cannot
// record would refuse every session.
func fitToRecord(folder string) error {
	if folder == "" {
		return nil
	}
	err := os.MkdirAll(folder, 0o750)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(folder, ".fit-*"); err == nil {
			_, written := f.WriteString("fit")
			err = errors.Join(written, f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("serve: session.record: %q cannot be written: %w: name a folder that can, or leave it out", folder, err)
	}
	return nil
}

// fitness is whether the folder of recordings can be written to. Whoever asks often asks the
// disk seldom.
type fitness struct {
	mu    sync.Mutex
	asked time.Time
	err   error
}

// fitFor is how long an answer of the disk stands.
const fitFor = 5 * time.Second

// of says what keeps a folder from being written to; fresh, that the disk was asked for it now.
func (f *fitness) of(folder string, now time.Time) (fresh bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fresh = f.asked.IsZero() || now.Sub(f.asked) >= fitFor; fresh {
		f.asked, f.err = now, fitToRecord(folder)
	}
	return fresh, f.err
}

// recording is one folder below session.record.
type recording struct {
	Name    string    `json:"name"`
	Session string    `json:"session_id,omitempty"` // where this process held it
	Began   time.Time `json:"began"`
	Bytes   int64     `json:"bytes"`
	Open    bool      `json:"open,omitempty"` // it is being written
}

// recordings lists what was recorded: to the operator everything that lies there, to others
// what is of sessions that they may see.
func (s *Server) recordings(w http.ResponseWriter, r *http.Request) {
	v, h, ok := s.seen(w, r)
	if !ok {
		return
	}
	list := []recording{}
	if root, err := s.recordRoot(); err == nil {
		defer func() { _ = root.Close() }()
		for _, name := range s.recorded(root, v, h) {
			list = append(list, describe(root, name, h))
		}
	}
	reply(w, http.StatusOK, map[string]any{"recordings": list})
}

var errNoRecords = errors.New("nothing is recorded here: set session.record")

func (s *Server) recordRoot() (*os.Root, error) {
	if s.config.Session.Record == "" {
		return nil, errNoRecords
	}
	return os.OpenRoot(s.config.Session.Record)
}

// recorded names the recordings that a viewer may see, the latest first.
func (s *Server) recorded(root *os.Root, v viewer, h *parley.Host) []string {
	var names []string
	if v.operator {
		entries, _ := fs.ReadDir(root.FS(), ".") // what cannot be read is not listed
		for _, e := range entries {
			if e.IsDir() {
				names = append(names, e.Name())
			}
		}
	} else {
		for _, st := range h.Sessions() {
			if st.Recording != "" && v.may(&st) {
				names = append(names, st.Recording)
			}
		}
	}
	slices.Sort(names) // they begin with their instant
	slices.Reverse(names)
	names = slices.DeleteFunc(names, func(name string) bool {
		_, err := root.Stat(path.Join(name, recordingFile))
		return err != nil
	})
	return names[:min(len(names), maxRecordings)]
}

// stamp is how the name of a recording's folder begins.
const stamp = "20060102-150405.000"

func describe(root *os.Root, name string, h *parley.Host) recording {
	one := recording{Name: name}
	if st, ok := holder(h, name); ok {
		one.Session, one.Began, one.Open = string(st.ID), st.Since, st.State != parley.StateEnded
	} else if began, err := time.Parse(stamp, name[:min(len(name), len(stamp))]); err == nil {
		one.Began = began
	} else if info, err := root.Stat(name); err == nil {
		one.Began = info.ModTime()
	}
	one.Bytes = size(root, path.Join(name, recordingFile))
	return one
}

// holder is the session of a recording, where this process held it.
func holder(h *parley.Host, name string) (parley.SessionStatus, bool) {
	list := h.Sessions()
	i := slices.IndexFunc(list, func(st parley.SessionStatus) bool { return st.Recording == name })
	if i < 0 {
		return parley.SessionStatus{}, false
	}
	return list[i], true
}

// size adds up the segments of a recording.
func size(root *os.Root, dir string) (n int64) {
	entries, _ := fs.ReadDir(root.FS(), dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
	}
	return n
}

// timeline shows one recording. A browser that goes to an address shows no header: it may
// post its token as a form's field.
func (s *Server) timeline(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && r.Header.Get("Authorization") == "" {
		if token := r.PostFormValue("token"); token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
	v, h, ok := s.seen(w, r)
	if !ok {
		return
	}
	root, err := s.recordRoot()
	name := r.PathValue("name")
	if err != nil || !slices.Contains(s.recorded(root, v, h), name) {
		if err == nil {
			_ = root.Close()
		}
		fail(w, http.StatusNotFound, "unknown_recording", "there is no recording of this name, or it is not yours")
		return
	}
	defer func() { _ = root.Close() }()
	w.Header().Set("Content-Security-Policy", timelinePolicy)
	w.Header().Set("Cache-Control", "no-store")
	what := path.Base(r.URL.Path) // of two that are routed here
	if _, err := root.Stat(path.Join(name, what)); err == nil {
		http.ServeFileFS(w, r, root.FS(), path.Join(name, what)) // a demo's, as it left it
		return
	}
	if what != timelineFile {
		fail(w, http.StatusNotFound, "not_found", "this recording has no sound")
		return
	}
	switch one := describe(root, name, h); {
	case one.Open:
		fail(w, http.StatusConflict, "open", "the session is running: come again when it has ended")
	case one.Bytes > maxDrawn:
		fail(w, http.StatusUnprocessableEntity, "too_long", "the recording is too long for a picture: see parley replay")
	default:
		s.draw(w, r, name)
	}
}

// draw makes a recording's timeline from what is in it, one at a time: it takes a processor
// that callers would like to have.
func (s *Server) draw(w http.ResponseWriter, r *http.Request, name string) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(2 * drawTime)) // whose end would end the request's context
	_ = c.SetWriteDeadline(time.Now().Add(2 * drawTime))
	wait := time.NewTimer(drawTime)
	defer wait.Stop()
	select {
	case s.drawing <- struct{}{}:
		defer func() { <-s.drawing }()
	case <-r.Context().Done():
		return
	case <-wait.C:
		w.Header().Set("Retry-After", "10")
		fail(w, http.StatusServiceUnavailable, "busy", "other recordings are being drawn: come again")
		return
	}
	d, err := demo.Recorded(filepath.Join(s.config.Session.Record, name, recordingFile), time.Now)
	var page bytes.Buffer
	if err == nil {
		d.Session.Recording = path.Join(name, recordingFile) // below the folder that the operator knows
		err = report.WriteTimeline(&page, d)
	}
	if err != nil {
		s.program.Log.Warn("a recording cannot be drawn", "recording", name, "error", err)
		fail(w, http.StatusUnprocessableEntity, "unreadable", "the recording cannot be drawn: parley replay says why")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = page.WriteTo(w) // who asked has gone
}
