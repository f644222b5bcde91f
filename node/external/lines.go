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
}

const (
	maxLine        = 1024 // bytes of a line; the rest of it is dropped
	maxLinesSecond = 50
)

func newLines(log *slog.Logger) *lines { return &lines{log: log} }

// Write takes what the child writes to its output. It never fails: a child must not be stopped by
// what it says.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
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
	return n, nil
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
