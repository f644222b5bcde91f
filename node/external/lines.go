// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// lines is what a child says to people: its output and its log, bounded.
type lines struct {
	log *slog.Logger

	mu      sync.Mutex
	rest    []byte // of a line that is not complete
	skip    bool   // the rest of a line that is too long
	latest  string
	second  time.Time
	said    int
	dropped int64

	moment time.Time // since when reads and bytes are counted
	reads  int
	bytes  int
}

const (
	maxLine        = 1024 // bytes of a line; the rest of it is dropped
	maxLinesSecond = 50
	// What is read in a moment: a child that writes more, or in smaller pieces, waits until it is
	// over. Reading a line from a child that does nothing but write costs the host as much as
	// writing costs the child.
	moment         = 20 * time.Millisecond
	maxReadsMoment = 16
	maxBytesMoment = 32 << 10 // 1.6 MB/s
)

func newLines(log *slog.Logger) *lines { return &lines{log: log} }

// Write takes what the child writes to its output. It never fails: a child must not be stopped by
// what it says. It returns late where there is too much, so that the child has to wait.
func (l *lines) Write(b []byte) (int, error) {
	l.take(b)
	time.Sleep(l.pause(len(b), time.Now()))
	return len(b), nil
}

// pause counts a read, and says how long the next one has to wait.
func (l *lines) pause(n int, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.moment) >= moment {
		l.moment, l.reads, l.bytes = now, 0, 0
	}
	l.reads++
	if l.bytes += n; l.reads < maxReadsMoment && l.bytes < maxBytesMoment {
		return 0
	}
	return moment - now.Sub(l.moment)
}

func (l *lines) take(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		part := b
		if end >= 0 {
			part = b[:end]
		}
		if room := maxLine - len(l.rest); !l.skip {
			l.skip = len(part) > room
			l.rest = append(l.rest, part[:min(room, len(part))]...)
		}
		if end < 0 {
			break
		}
		l.line()
		b = b[end+1:]
	}
}

// line says the line that is there. The lock is held.
func (l *lines) line() {
	text := strings.TrimSpace(strings.ToValidUTF8(string(l.rest), "?"))
	l.rest, l.skip = l.rest[:0], false
	if text == "" {
		return
	}
	l.latest = text
	l.put(slog.LevelInfo, text)
}

// put logs a line, or counts it where there are too many. The lock is held.
func (l *lines) put(level slog.Level, text string, args ...any) {
	if now := time.Now(); now.Sub(l.second) >= time.Second {
		if l.dropped > 0 {
			l.log.Warn("lines of a node were dropped", "lines", l.dropped, "most_per_s", maxLinesSecond)
		}
		l.second, l.said, l.dropped = now, 0, 0
	}
	if l.said++; l.said > maxLinesSecond {
		l.dropped++
		return
	}
	l.log.Log(context.Background(), level, "a node says", append([]any{"text", text}, args...)...)
}

// say takes a log message.
func (l *lines) say(level, text string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := slog.LevelInfo
	if v.UnmarshalText([]byte(level)) != nil {
		v = slog.LevelInfo
	}
	if len(text) > maxLine {
		text = text[:maxLine]
	}
	l.put(v, strings.ToValidUTF8(text, "?"), args...)
}

// flush says what is left when the child has ended.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line()
}

// last is the last line that it wrote.
func (l *lines) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text := strings.TrimSpace(string(l.rest)); text != "" {
		return strings.ToValidUTF8(text, "?")
	}
	return l.latest
}
