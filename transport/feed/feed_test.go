// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// session is an Ingress that keeps what comes, with the instant.
type session struct {
	transport.Ingress
	mu    sync.Mutex
	began time.Time
	pcm   []int16         // of audio, and silence for what is missing
	at    []time.Duration // of each frame
	log   []string        // "3" three frames at an instant, "gap 20/3", or a word of a function
	wrong []string
	busy  bool
	slow  time.Duration
}

func newSession() *session { return &session{began: time.Now()} }

func (s *session) enter() {
	s.mu.Lock()
	if s.busy {
		s.wrong = append(s.wrong, "two calls at a time")
	}
	s.busy = true
	s.mu.Unlock()
	time.Sleep(s.slow)
	s.mu.Lock()
}

func (s *session) leave() {
	s.busy = false
	s.mu.Unlock()
}

func (s *session) Audio(sequence int64, pcm []int16) {
	s.enter()
	defer s.leave()
	if sequence != -1 || len(pcm) != transport.FrameSamples {
		s.wrong = append(s.wrong, fmt.Sprintf("frame %d of %d samples", sequence, len(pcm)))
	}
	s.pcm = append(s.pcm, pcm...)
	s.at = append(s.at, time.Since(s.began))
}

func (s *session) Gap(g transport.Gap) {
	s.enter()
	defer s.leave()
	if g.Reason != transport.GapOverflow || g.Concealed > g.Missing || g.Missing <= 0 || g.Sequence != -1 {
		s.wrong = append(s.wrong, fmt.Sprintf("gap %+v", g))
	}
	s.pcm = append(s.pcm, make([]int16, g.Missing-g.Concealed)...)
	s.log = append(s.log, fmt.Sprintf("gap %d/%d at %d", g.Missing, g.Concealed, len(s.pcm)))
}

func (s *session) word(w string) func() {
	return func() {
		s.enter()
		defer s.leave()
		s.log = append(s.log, fmt.Sprintf("%s at %d", w, len(s.pcm)))
	}
}

// frames says how many frames came until each whole step of time.
func (s *session) frames(step time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	n := 0
	for until := time.Duration(0); n < len(s.at); until += step {
		for n < len(s.at) && s.at[n] <= until {
			n++
		}
		list = append(list, fmt.Sprint(n))
	}
	return strings.Join(list, " ")
}

func (s *session) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

func (s *session) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(append(s.log, s.wrong...), ", ")
}

// counting makes samples that tell their number, from a first on.
func counting(from, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(from + i)
	}
	return pcm
}

func samples(d time.Duration) int { return int(d * transport.SampleRate / time.Second) }

func begin(t *testing.T, c Config) (*Feed, *session) {
	t.Helper()
	s := newSession()
	f, err := New(c, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f, s
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s\n   want %s", what, got, want)
	}
}

// checkPCM says where what came out differs from the numbers from 0 on.
func (s *session) checkPCM(t *testing.T, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pcm) != n {
		t.Errorf("%d samples came, want %d", len(s.pcm), n)
	}
	for i, v := range s.pcm {
		if v != int16(i) {
			t.Fatalf("sample %d is %d", i, v)
		}
	}
}

func TestLiveAudioIsNotDelayed(t *testing.T) {
	for _, lump := range []time.Duration{5 * ms, 20 * ms, 100 * ms, 200 * ms} {
		synctest.Test(t, func(t *testing.T) {
			f, s := begin(t, Config{})
			for at := 0; at < 16000; at += samples(lump) {
				time.Sleep(lump)
				f.Write(counting(at, samples(lump)))
				if waits := f.Stats().Waiting; waits >= frame {
					t.Fatalf("lumps of %v: %d samples wait", lump, waits)
				}
			}
			s.checkPCM(t, 16000)
		})
	}
}

// A fast clock is live too: 500 ppm over an hour come to 1.8 s.
func TestAFastClockIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &deaf{}
		f, err := New(Config{CatchUp: -1}, s)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		pcm := make([]int16, 1600)
		const lump = 99950 * time.Microsecond // 100 ms of a clock that is 500 ppm fast
		for at := time.Duration(0); at < time.Hour; at += lump {
			time.Sleep(lump)
			f.Write(pcm)
			if waits := f.Stats().Waiting; waits >= frame {
				t.Fatalf("after %v %d samples wait", at, waits)
			}
		}
	})
}

func TestARecordingGoesAtThePaceOfSpeech(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := begin(t, Config{})
		f.Write(counting(0, 16000))
		f.After(s.word("end"))
		time.Sleep(2 * time.Second)
		s.checkPCM(t, 16000)
		// The 500 ppm are not seen within a second.
		expect(t, "frames by 100 ms", s.frames(100*ms), "10 15 20 25 30 35 40 45 50")
		expect(t, "and", s.text(), "end at 16000")
	})
}

// What a network has held up comes at twice the pace until it is made up for.
func TestAStallIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := begin(t, Config{})
		at := 0
		live := func(d time.Duration) {
			for range d / (20 * ms) {
				time.Sleep(20 * ms)
				f.Write(counting(at, frame))
				at += frame
			}
		}
		live(time.Second)
		time.Sleep(800 * ms)
		f.Write(counting(at, samples(800*ms)))
		at += samples(800 * ms)
		expect(t, "behind", fmt.Sprint(f.Stats().Waiting), fmt.Sprint(samples(600*ms)))
		live(500 * ms)
		expect(t, "behind after half a second", fmt.Sprint(f.Stats().Waiting), fmt.Sprint(samples(100*ms)))
		live(500 * ms)
		expect(t, "behind after a second", fmt.Sprint(f.Stats().Waiting), "0")
		s.checkPCM(t, at)
	})
}

func TestFlushAndAfterFillAFrameUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := begin(t, Config{})
		f.Write(counting(0, 330))
		synctest.Wait()
		s.checkPCM(t, 320)
		f.After(s.word("commit"))
		f.Flush()
		f.Flush()
		f.Write(counting(0, 5))
		f.Flush()
		synctest.Wait()
		expect(t, "log", s.text(), "commit at 640")
		if len(s.pcm) != 960 || s.pcm[329] != 329 || s.pcm[330] != 0 || s.pcm[644] != 4 || s.pcm[645] != 0 {
			t.Errorf("%d samples: %v", len(s.pcm), s.pcm[320:])
		}
		if st := f.Stats(); st.Out != 335 || st.Padded != 960-335 || st.Written != 335 {
			t.Errorf("counted %+v", st)
		}
	})
}

// Rule 3: the gap stands where the audio was.
func TestOverflowBecomesAGapInItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := begin(t, Config{Longest: 500 * ms})
		f.Write(counting(0, 1000))    // 960 go at once, 40 wait
		f.Write(counting(1000, 7000)) // 2240 go, 4800 wait
		f.Write(counting(8000, 3290)) // 3200 of it are taken, 90 are not
		f.Write(counting(11290, 10))  // nothing
		f.After(s.word("end"))
		time.Sleep(time.Second)
		f.Write(counting(11300, 320))
		time.Sleep(time.Second)
		expect(t, "log", s.text(), "gap 100/0 at 11300, end at 11300")
		for i, v := range s.pcm {
			if missing := i >= 11200 && i < 11300; v != int16(i) && !missing || missing && v != 0 {
				t.Fatalf("sample %d is %d", i, v)
			}
		}
		if st := f.Stats(); st.Out != 11520 || st.Overflow != 100 || st.Padded != 0 || st.Deepest != 8000 {
			t.Errorf("counted %+v", st)
		}
	})
}

// A gap in the midst of a frame: what fills the frame up is part of it.
func TestAGapWithinAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := begin(t, Config{Longest: 250 * ms}) // 4000 samples, 12.5 frames
		f.Write(counting(0, 3200))
		f.Write(counting(3200, 4500))
		time.Sleep(time.Second)
		f.Write(counting(7700, 320))
		time.Sleep(time.Second)
		expect(t, "log", s.text(), "gap 500/160 at 7700")
		if len(s.pcm) != 8020 || s.pcm[7199] != 7199 || s.pcm[7200] != 0 || s.pcm[7700] != 7700 {
			t.Errorf("%d samples came", len(s.pcm))
		}
	})
}

// Clear takes back what no commit stands behind.
func TestClearSparesWhatWasCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := begin(t, Config{})
		f.Write(counting(0, 6400))
		f.After(s.word("commit"))
		f.Write(counting(6400, 3000))
		f.Flush()
		if n := f.Clear(); n != 3000 {
			t.Errorf("%d samples were cleared", n)
		}
		f.Write(counting(6400, 320))
		time.Sleep(time.Second)
		s.checkPCM(t, 6720)
		expect(t, "log", s.text(), "commit at 6400")
		if st := f.Stats(); st.Written != st.Out+st.Cleared || st.Padded != 0 {
			t.Errorf("counted %+v", st)
		}
	})
}

func TestFunctionsMayUseTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := begin(t, Config{})
		f.After(func() {
			f.Write(counting(0, 320))
			f.After(s.word("inner"))
			f.Clear()
		})
		synctest.Wait()
		expect(t, "log", s.text(), "inner at 320")
	})
}

func TestNothingComesAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := begin(t, Config{})
		s.slow = 100 * ms
		go f.Write(counting(0, 32000))
		time.Sleep(50 * ms)
		f.Close() // waits for the frame under way
		n := s.count()
		if n != 1 || f.After(s.word("after")) {
			t.Errorf("%d frames came; After is taken", n)
		}
		f.Write(counting(0, 320))
		f.Flush()
		time.Sleep(time.Minute)
		if s.count() != n || s.text() != "" {
			t.Errorf("%d frames more came, and %s", s.count()-n, s.text())
		}
		if st := f.Stats(); st.Out != 320 || st.Cleared != 31680 || st.Waiting != 0 {
			t.Errorf("counted %+v", st)
		}
	})
}

func TestCloseDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := begin(t, Config{})
		began := time.Now()
		f.After(f.Close)
		if took := time.Since(began); took > closeWithin {
			t.Errorf("closing from a function takes %v", took)
		}
	})
}

func TestFunctionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := begin(t, Config{})
		f.Write(make([]int16, 6400))
		n := 0
		for f.After(func() {}) {
			n++
		}
		if n != mostMarks {
			t.Errorf("%d functions wait", n)
		}
	})
}

func TestConfigReportsAllFaults(t *testing.T) {
	_, err := New(Config{Longest: ms, Burst: time.Hour, CatchUp: time.Hour}, nil)
	for _, field := range []string{"longest", "burst", "catch_up"} {
		if err == nil || !strings.Contains(err.Error(), "feed: "+field+": ") {
			t.Errorf("%s is not reported: %v", field, err)
		}
	}
}

func TestLiveAudioCostsNoAllocation(t *testing.T) {
	s := &deaf{}
	f, err := New(Config{Burst: 2 * time.Second}, s)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pcm := make([]int16, 333)
	f.Write(pcm)
	if n := testing.AllocsPerRun(90, func() { f.Write(pcm) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

type deaf struct{ transport.Ingress }

func (*deaf) Audio(int64, []int16) {}

// What panics in the middle leaves the feed as it was: it goes on, and it closes.
func TestAPanicLeavesTheFeedWhole(t *testing.T) {
	f, s := begin(t, Config{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it is kept from who called")
			}
		}()
		f.After(func() { panic("a test's") })
	}()
	if !f.After(s.word("next")) {
		t.Error("it takes nothing more")
	}
	expect(t, "behind it", s.text(), "next at 0")
	f.Close()
}
