// SPDX-License-Identifier: Apache-2.0

package equivalence

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// TestMain has all conversations go on at once: they mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	m.Run()
}

// caller is a client that sends sound all the time, as clients do.
type caller interface {
	// Say has it say something as soon as what it says now is said.
	Say(pcm []int16)
	// Heard is how much of the agent it has heard.
	Heard() time.Duration
	// Leave ends the conversation in good order.
	Leave() error
}

// way is a transport.
type way struct {
	name string
	call func(t *testing.T, r *parley.Runtime, seen *record) caller
	// slack is how far the length of speech may be from what was said: codecs smear sound,
	// and a filter rings.
	slack time.Duration
	// adds and lacks are lines that only this transport has, or has not, with the reason; may
	// are signals that it may have beside.
	adds, lacks map[string]string
	may         map[eventabi.Signal]string
}

func ways() []way {
	datagrams := map[eventabi.Signal]string{eventabi.SignalDiscontinuity: "a packet that is lost or late is not sent again; the session is told so"}
	return []way{
		{name: "loopback", call: overLoopback},
		{name: "websocket", call: overWebSocket, slack: 40 * time.Millisecond},
		{name: "websocket in binary", call: overBinary, slack: 40 * time.Millisecond},
		{name: "realtime", call: overRealtime, slack: 60 * time.Millisecond},
		{name: "rtvi", call: overRTVI, slack: 40 * time.Millisecond},
		{name: "twilio", call: overTwilio, slack: 80 * time.Millisecond},
		{name: "livekit", call: overLiveKit, slack: 80 * time.Millisecond, may: datagrams},
		{name: "sip", call: overSIP, slack: 80 * time.Millisecond, may: datagrams},
		{name: "sip over a bad network", call: overBadSIP, slack: 80 * time.Millisecond, may: datagrams},
	}
}

// TestEquivalence: any transport, the same spec, the same voice: equal kinds, order, reasons
// and metadata of events and decisions (F-086).
func TestEquivalence(t *testing.T) {
	list := ways()
	records := make([]*record, len(list))
	t.Run("hold", func(t *testing.T) {
		for i, w := range list {
			t.Run(w.name, func(t *testing.T) {
				t.Parallel() // a conversation takes as long as it is to be heard
				// A machine that stands still for two seconds is a stall of the link, over every
				// transport; a transport that stalls on a good one does so each time.
				for try := 0; try < 3 && (try == 0 || records[i].count(eventabi.SignalStall) > 0); try++ {
					records[i] = converse(t, w)
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	want := records[0]
	t.Logf("what is to be equal:\n%s", want.text())
	for i, w := range list[1:] {
		for _, d := range compare(&w, want, records[i+1]) {
			t.Errorf("%s: %s", w.name, d)
		}
	}
}

// TestCompare: what would be no equivalence is found.
func TestCompare(t *testing.T) {
	good := func() *record {
		r := newRecord()
		r.lines, r.voiced = []string{"admit", "turn_open", "close"}, []int64{16000}
		for i, text := range []string{"user turn=t1: " + question, "assistant turn=t1 interrupted: Once upon", "user turn=t2: " + objection, "assistant turn=t2: " + noon} {
			r.items[int64(i)] = text
		}
		return r
	}
	w := way{slack: 20 * time.Millisecond}
	if d := compare(&w, good(), good()); len(d) > 0 {
		t.Errorf("equals differ: %q", d)
	}
	for name, plant := range map[string]func(r *record){
		"another order":      func(r *record) { r.lines[0], r.lines[1] = r.lines[1], r.lines[0] },
		"one that lacks":     func(r *record) { r.lines = r.lines[:2] },
		"one more":           func(r *record) { r.lines = append(r.lines, "close") },
		"other words":        func(r *record) { r.items[0] = "user turn=t1: tell me" },
		"all was heard":      func(r *record) { r.items[1] = "assistant turn=t1 interrupted: " + story },
		"nothing was cut":    func(r *record) { r.items[1] = "assistant turn=t1: Once upon" },
		"a longer utterance": func(r *record) { r.voiced[0] += 400 },
		"an utterance more":  func(r *record) { r.voiced = append(r.voiced, 16000) },
		"a clock that lags":  func(r *record) { r.faults = append(r.faults, "clock") },
	} {
		r := good()
		plant(r)
		if d := compare(&w, good(), r); len(d) != 1 {
			t.Errorf("%s: found %q", name, d)
		}
	}
	may := good()
	may.lines = append(may.lines, "signal discontinuity by=RK-15")
	if d := compare(&w, good(), may); len(d) != 1 {
		t.Errorf("a signal that is not on the list: found %q", d)
	}
	w.may = map[eventabi.Signal]string{eventabi.SignalDiscontinuity: "datagrams"}
	if d := compare(&w, good(), may); len(d) != 0 {
		t.Errorf("a signal that is on the list: found %q", d)
	}
	w.adds, w.lacks = map[string]string{"mute": "telephones"}, map[string]string{"admit": "none"}
	if d := compare(&w, good(), good()); len(d) != 2 {
		t.Errorf("a list of differences that are not there: found %q", d)
	}
}

// converse is the conversation: a question, an answer that is interrupted, an answer that
// is heard to its end, a goodbye.
func converse(t *testing.T, w way) *record {
	t.Helper()
	r, seen := newWorld(t)
	c := w.call(t, r, seen)
	seen.await(t, "the session", func() bool { return seen.count(eventabi.SignalConnected) > 0 })
	c.Say(voice(t, "young-man"))
	seen.await(t, "the story", func() bool { return seen.count(eventabi.SignalPlaybackStarted) == 1 && c.Heard() > time.Second })
	c.Say(voice(t, "amiable-woman"))
	seen.await(t, "the interruption", func() bool { return seen.count(eventabi.SignalBargeIn) == 1 })
	heard := c.Heard()
	seen.await(t, "the time", func() bool { return seen.count(eventabi.SignalPlaybackCompleted) == 1 })
	seen.await(t, "the time, at the caller", func() bool { return c.Heard() > heard+400*time.Millisecond })
	if err := c.Leave(); err != nil {
		t.Errorf("leave: %v", err)
	}
	seen.await(t, "the end", seen.ended)
	return seen
}

// compare holds a conversation to that over loopback, and gives what differs.
func compare(w *way, want, got *record) (found []string) {
	fault := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	wanted, lines := slices.Clone(want.lines), slices.Clone(got.lines)
	for line, why := range w.lacks {
		if wanted = slices.DeleteFunc(wanted, func(l string) bool { return l == line }); slices.Contains(lines, line) {
			fault("it has %q (%s): take that off the list", line, why)
		}
	}
	for line, why := range w.adds {
		had := len(lines)
		if lines = slices.DeleteFunc(lines, func(l string) bool { return l == line }); len(lines) == had {
			fault("it has no %q (%s): take that off the list", line, why)
		}
	}
	for signal := range w.may {
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "signal "+string(signal)+" ") })
	}
	if len(found) == 0 && !slices.Equal(wanted, lines) {
		fault("decisions differ:\n%s", difference(wanted, lines))
	}
	found = append(found, got.faults...)
	if len(got.voiced) != len(want.voiced) {
		fault("it heard speech %d times; want %d", len(got.voiced), len(want.voiced))
	} else if got.gaps == 0 { // else sound is missing that was spoken
		for i, n := range want.voiced {
			if off := time.Duration(got.voiced[i]-n) * time.Second / transport.SampleRate; off.Abs() > w.slack {
				fault("utterance %d is %v longer than it was spoken; the most is %v", i, off, w.slack)
			}
		}
	}
	a, b := want.conversation(), got.conversation()
	if len(a) != 4 || len(b) != 4 || a[0] != b[0] || a[2] != b[2] || a[3] != b[3] {
		fault("the conversation is\n%q\nwant\n%q", b, a)
		return found
	}
	heard, cut := strings.CutPrefix(b[1], "assistant turn=t1 interrupted: ")
	if !cut || heard == "" || heard == story || !strings.HasPrefix(story, heard) {
		fault("what was heard of the story is %q", b[1])
	}
	return found
}

// difference shows where two lists part.
func difference(want, got []string) string {
	n := 0
	for n < min(len(want), len(got)) && want[n] == got[n] {
		n++
	}
	show := func(list []string) string {
		return strings.Join(list[max(0, n-3):min(len(list), n+6)], "\n    ")
	}
	return "  want\n    " + show(want) + "\n  got\n    " + show(got)
}

// microphone sends what is said and silence between, a frame each 20 ms.
type microphone struct {
	mu   sync.Mutex
	said []int16
	stop chan struct{}
	once sync.Once
	done sync.WaitGroup
}

// listen starts a microphone; send is called for each frame, until it fails.
func listen(t *testing.T, send func(pcm []int16) error) *microphone {
	t.Helper()
	m := &microphone{stop: make(chan struct{})}
	m.done.Go(func() {
		began := time.Now()
		for n := 1; ; n++ {
			select {
			case <-m.stop:
				return
			case <-time.After(time.Until(began.Add(time.Duration(n) * transport.FrameDuration))):
			}
			frame := make([]int16, transport.FrameSamples)
			m.mu.Lock()
			m.said = m.said[copy(frame, m.said):]
			m.mu.Unlock()
			if send(frame) != nil {
				return
			}
		}
	})
	t.Cleanup(m.off)
	return m
}

// Say queues sound.
func (m *microphone) Say(pcm []int16) {
	m.mu.Lock()
	m.said = append(m.said, pcm...)
	m.mu.Unlock()
}

func (m *microphone) off() {
	m.once.Do(func() { close(m.stop) })
	m.done.Wait()
}
