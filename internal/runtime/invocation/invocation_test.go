// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

// wall is real time (a bubble's).
type wall struct {
	nodehost.Pool
	*nodehost.Seat
	began time.Time
}

func newWall() *wall {
	w := &wall{began: time.Now()}
	w.Seat = w.Pool.Seat("s1")
	return w
}

func (w *wall) Task(n eventabi.NodeID, counted bool, run func(bool) bool) nodehost.Starter {
	return w.Seat.Task(n, counted, run)
}

func (w *wall) Now() timebase.Instant { return timebase.Instant(time.Since(w.began)) }
func (w *wall) Virtual() bool         { return false }
func (w *wall) After(at timebase.Instant, fn func()) func() {
	t := time.AfterFunc(time.Duration(at.Sub(w.Now())), fn)
	return func() { t.Stop() }
}

// world is virtual time.
type world struct {
	now  timebase.Instant
	list due
	n    int
}

type event struct {
	at timebase.Instant
	n  int
	f  func()
}

type due []event

func (d due) Len() int           { return len(d) }
func (d due) Less(i, j int) bool { return d[i].at < d[j].at || d[i].at == d[j].at && d[i].n < d[j].n }
func (d due) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *due) Push(x any)        { *d = append(*d, x.(event)) }
func (d *due) Pop() any          { o := *d; e := o[len(o)-1]; *d = o[:len(o)-1]; return e }

func (w *world) Now() timebase.Instant                                   { return w.now }
func (w *world) Go(f func())                                             { f() }
func (w *world) Stream(f func()) controlplane.ShedReason                 { f(); return "" }
func (w *world) Try(_ eventabi.NodeID, f func()) controlplane.ShedReason { f(); return "" }
func (w *world) Task(_ eventabi.NodeID, _ bool, run func(bool) bool) nodehost.Starter {
	return nodehost.AtOnce(run)
}

func (w *world) Claim(eventabi.NodeID, func()) (*nodehost.Claim, bool, controlplane.ShedReason) {
	return nil, true, ""
}

func (w *world) Virtual() bool { return true }

func (w *world) After(at timebase.Instant, f func()) func() {
	w.n++
	heap.Push(&w.list, event{at, w.n, f})
	return func() {}
}

func (w *world) run(until timebase.Instant) {
	for len(w.list) > 0 && w.list[0].at <= until {
		e := heap.Pop(&w.list).(event)
		w.now = max(w.now, e.at)
		e.f()
	}
	w.now = until
}

// desk is a controller with what it reported.
type desk struct {
	*Controller
	mu    sync.Mutex
	ends  []End
	alive int
	got   []string
}

func newDesk(exec nodehost.Executor) *desk {
	d := &desk{}
	d.Controller = New(Settings{
		Exec: exec, Session: "s1", Pipeline: "p1", Epoch: func() eventabi.Epoch { return 3 },
		Ended: func(e End) { d.mu.Lock(); d.ends = append(d.ends, e); d.mu.Unlock() },
		Alive: func(eventabi.InvocationID, int64) { d.mu.Lock(); d.alive++; d.mu.Unlock() },
	})
	return d
}

// generate runs an attempt of a call on a model.
func (d *desk) generate(m provider.LLM, attempt int64) *Call {
	call := d.Begin(Request{Invocation: "c1", Turn: "t1", Attempt: attempt, Timeout: time.Second, Provider: m.Descriptor()})
	prompt := provider.Prompt{Messages: []provider.Message{{Role: provider.RoleUser, Text: "hello"}}}
	call.Run(func(ctx context.Context, id provider.Call, sink provider.Sink) provider.Outcome {
		return m.Generate(ctx, id, prompt, sink)
	}, func(at timebase.Instant, c provider.Chunk) {
		d.mu.Lock()
		d.got = append(d.got, fmt.Sprintf("%d %s%s", at.MS(), c.Kind, strings.TrimSpace(" "+c.Text)))
		d.mu.Unlock()
	}, func(at timebase.Instant, o provider.Outcome) {
		d.mu.Lock()
		d.got = append(d.got, fmt.Sprintf("%d done %s", at.MS(), o.Class))
		d.mu.Unlock()
	})
	return call
}

// state gives what was reported so far, safely.
func (d *desk) state() (ends []End, got []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.ends), slices.Clone(d.got)
}

func model(wait bool, inject providertest.Injection) *providertest.FakeLLM {
	m := &providertest.FakeLLM{Replies: []string{"a b c"}}
	m.Latency = provider.Latency{First: 100 * time.Millisecond, Next: 10 * time.Millisecond}
	m.Wait = wait
	m.Inject = func(provider.Call) providertest.Injection { return inject }
	return m
}

func TestStreamPassesAndEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWall()
		d := newDesk(w)
		d.generate(model(true, providertest.Injection{}), 1)
		time.Sleep(time.Second)
		ends, got := d.state()
		want := "[0 start 100 text_deltaa 110 text_deltab 120 text_deltac 130 done success]"
		if fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
		if len(ends) != 1 || ends[0].Outcome.Class != provider.OutcomeSuccess || ends[0].First.MS() != 100 || ends[0].Duration.MS() < 120 || ends[0].Chunks != 3 {
			t.Errorf("ends %+v", ends)
		}
		if d.Call("c1") != nil || d.alive != 1 || w.Running() != 0 {
			t.Errorf("call kept %v, alive %d, running %d", d.Call("c1") != nil, d.alive, w.Running())
		}
	})
}

// In virtual time the same stream arrives at the same instants, by the latency model.
func TestVirtualTimeModelsTheLatency(t *testing.T) {
	w := &world{}
	d := newDesk(w)
	d.generate(model(false, providertest.Injection{}), 1)
	if len(d.got) != 0 {
		t.Fatalf("%v arrived before its time", d.got)
	}
	w.run(timebase.Instant(timebase.Second))
	want := "[0 start 100 text_deltaa 110 text_deltab 120 text_deltac 120 done success]"
	if fmt.Sprint(d.got) != want || len(d.ends) != 1 || d.ends[0].Duration.MS() != 120 {
		t.Errorf("got %v, want %s; ends %+v", d.got, want, d.ends)
	}
}

func TestVirtualCancelDropsWhatIsStillToArrive(t *testing.T) {
	w := &world{}
	d := newDesk(w)
	d.generate(model(false, providertest.Injection{}), 1)
	w.run(timebase.Instant(timebase.MS(105)))
	d.Cancel("c1")
	w.run(timebase.Instant(timebase.Second))
	if fmt.Sprint(d.got) != "[0 start 100 text_deltaa 105 done cancelled]" || len(d.ends) != 1 || !d.ends[0].Cancelled || d.Late() == 0 {
		t.Errorf("got %v, ends %+v, late %d", d.got, d.ends, d.Late())
	}
}

func TestOutcomes(t *testing.T) {
	for fault, want := range map[providertest.Fault]string{
		providertest.FaultError:      "infrastructure_failure injected",
		providertest.FaultDuplicate:  "infrastructure_failure stream_protocol_violation",
		providertest.FaultOutOfOrder: "infrastructure_failure stream_protocol_violation",
		providertest.FaultTruncate:   "infrastructure_failure stream_protocol_violation",
		providertest.FaultPanic:      "infrastructure_failure provider_panic",
		providertest.FaultStall:      "timeout adapter_silent",
	} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWall()
				d := newDesk(w)
				d.generate(model(true, providertest.Injection{Fault: fault, At: 1}), 1)
				time.Sleep(10 * time.Second)
				ends, got := d.state()
				if len(ends) != 1 || string(ends[0].Outcome.Class)+" "+ends[0].Outcome.Reason != want {
					t.Errorf("ends %+v, want one %s", ends, want)
				}
				if done := got[len(got)-1]; !strings.Contains(done, "done") {
					t.Errorf("%v: the end is not behind the last chunk", got)
				}
				if w.Running() != 0 {
					t.Errorf("%d goroutines are left", w.Running())
				}
			})
		})
	}
}

func TestCancelWaitsForTheAdapterAndDetachDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWall()
		d := newDesk(w)
		m := model(true, providertest.Injection{Fault: providertest.FaultLateAfterCancel, At: 1})
		d.generate(m, 1)
		time.Sleep(200 * time.Millisecond)
		d.Cancel("c1")
		synctest.Wait()
		ends, _ := d.state()
		if len(ends) != 1 || !ends[0].Cancelled || ends[0].Detached || ends[0].Outcome.Class != provider.OutcomeCancelled {
			t.Errorf("ends %+v, want one cancelled", ends)
		}
		if d.Late() != 1 {
			t.Errorf("late %d: the chunk after the cancelled end is not counted", d.Late())
		}
		free := make(chan struct{})
		call := d.Begin(Request{Invocation: "c2", Attempt: 1, Timeout: time.Second, Provider: m.Descriptor()})
		call.Run(func(_ context.Context, _ provider.Call, sink provider.Sink) provider.Outcome {
			<-free // deaf to its context
			return provider.NewEmitter(sink).Final(provider.Usage{})
		}, func(timebase.Instant, provider.Chunk) {}, nil)
		d.Cancel("c2")
		d.Detach("c2")
		d.Detach("c2")
		if ends, _ := d.state(); len(ends) != 2 || !ends[1].Detached {
			t.Errorf("ends %+v, want the second one detached at once", ends)
		}
		close(free)
		synctest.Wait()
		if ends, _ := d.state(); len(ends) != 2 || w.Running() != 0 || d.Late() < 2 {
			t.Errorf("%d ends, %d running, %d late", len(ends), w.Running(), d.Late())
		}
	})
}

// A new attempt ends the one before it, and has an identity of its own.
func TestAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWall()
		d := newDesk(w)
		var calls []provider.Call
		m := model(true, providertest.Injection{})
		m.Inject = func(c provider.Call) providertest.Injection {
			calls = append(calls, c)
			if c.Attempt == 1 {
				return providertest.Injection{Fault: providertest.FaultStall}
			}
			return providertest.Injection{}
		}
		d.generate(m, 1)
		synctest.Wait()
		d.generate(m, 2)
		time.Sleep(5 * time.Second)
		ends, _ := d.state()
		if len(ends) != 2 || ends[0].Attempt != 1 || !ends[0].Detached || ends[1].Attempt != 2 || ends[1].Outcome.Class != provider.OutcomeSuccess {
			t.Errorf("ends %+v", ends)
		}
		if len(calls) != 2 || calls[0].InvocationID != calls[1].InvocationID || calls[0].IdempotencyKey == calls[1].IdempotencyKey ||
			calls[1].AuthorityEpoch != 3 || calls[1].TurnID != "t1" || calls[1].Validate(provider.ModalityLLM) != nil {
			t.Errorf("identities %+v", calls)
		}
	})
}

// A call that is given up before its work begins runs nothing and is over for the one
// who waits for it: a synthesiser's next segment waits for done.
func TestCallGivenUpBeforeItBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(newWall())
		call := d.Begin(Request{Invocation: "c1", Turn: "t1", Attempt: 1, Timeout: time.Second})
		d.Detach("c1")
		done := 0
		call.Run(
			func(context.Context, provider.Call, provider.Sink) provider.Outcome {
				t.Error("the adapter was called")
				return provider.Outcome{}
			},
			func(timebase.Instant, provider.Chunk) {},
			func(_ timebase.Instant, o provider.Outcome) {
				if done++; o.Class != provider.OutcomeCancelled {
					t.Errorf("done with %+v", o)
				}
			})
		synctest.Wait()
		if ends, _ := d.state(); done != 1 || len(ends) != 1 {
			t.Errorf("done %d times, %d ends; want one of each", done, len(ends))
		}
	})
}

func TestClosedControllerTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(newWall())
		d.generate(model(true, providertest.Injection{Fault: providertest.FaultStall}), 1)
		d.Close()
		synctest.Wait()
		if ends, _ := d.state(); len(ends) != 1 || !ends[0].Detached {
			t.Errorf("ends %+v", ends)
		}
		if d.Begin(Request{Invocation: "c2"}) != nil {
			t.Error("a closed controller began a call")
		}
	})
}

func TestCoalescer(t *testing.T) {
	var c coalescer
	var sizes []int
	add := func(pcm []int16) {
		if len(pcm) > 0 {
			sizes = append(sizes, len(pcm))
			c.count++
		}
	}
	var sample int16
	for range 40 {
		piece := make([]int16, 320)
		for i := range piece {
			sample++
			piece[i] = sample
		}
		c.add(piece)
		add(c.next())
	}
	add(c.rest())
	c.add(make([]int16, 6000)) // a chunk has an upper bound, whatever comes at once
	for pcm := c.next(); pcm != nil; pcm = c.next() {
		add(pcm)
	}
	add(c.rest())
	if want := []int{640, 2560, 2560, 2560, 2560, 1920, 2560, 2560, 880}; !slices.Equal(sizes, want) {
		t.Errorf("chunks of %v samples, want %v", sizes, want)
	}
}

// A second candidate is held to what the first is, and is another one.
func TestSecondProvidersValidate(t *testing.T) {
	p := Providers{STT: &providertest.FakeSTT{}, LLM: &providertest.FakeLLM{}, TTS: &providertest.FakeTTS{}}
	if len(p.STTs()) != 1 || len(p.LLMs()) != 1 || len(p.TTSs()) != 1 {
		t.Error("candidates from nowhere")
	}
	named := func(id string) providertest.Behaviour { return providertest.Behaviour{ID: id} }
	p.SecondSTT, p.SecondLLM, p.SecondTTS = &providertest.FakeSTT{Behaviour: named("b")}, &providertest.FakeLLM{Behaviour: named("b")}, &providertest.FakeTTS{Behaviour: named("b")}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if p.STTs()[1] != p.SecondSTT || p.LLMs()[0] != p.LLM || p.TTSs()[1] != p.SecondTTS {
		t.Error("the candidates are out of order")
	}
	p.SecondSTT, p.SecondLLM, p.SecondTTS = &providertest.FakeSTT{}, &providertest.FakeLLM{}, &providertest.FakeTTS{Behaviour: named("b"), SampleRate: 24000}
	err := p.Validate()
	for _, part := range []string{"providers.stt: second candidate: \"fake_stt\"", "providers.llm: second candidate", "adapter \"b\": sample_rate_hz: 24000"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not reported in %v", part, err)
		}
	}
}

// What is left of a turn shortens the time to the first result, not that between later
// ones: the backstop waits for the longer of the two.
func TestBackstopWaitsBetweenResults(t *testing.T) {
	for _, row := range []struct{ timeout, idle, want time.Duration }{
		{300 * time.Millisecond, time.Second, time.Second}, {time.Second, 0, time.Second}, {0, 0, 0},
	} {
		call := Call{request: Request{Timeout: row.timeout, Idle: row.idle}}
		if got := call.patience(); got != row.want {
			t.Errorf("timeout %v, idle %v: the backstop waits %v", row.timeout, row.idle, got)
		}
	}
}

func TestProvidersValidate(t *testing.T) {
	good := Providers{STT: &providertest.FakeSTT{}, LLM: &providertest.FakeLLM{}, TTS: &providertest.FakeTTS{}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	err := Providers{TTS: &providertest.FakeTTS{SampleRate: 24000}}.Validate()
	for _, part := range []string{"providers.stt: none", "providers.llm: none", "sample_rate_hz: 24000"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not reported in %v", part, err)
		}
	}
}

// A model that cannot call tools reads what they answered, and is not told of any.
func TestPromptWithoutTools(t *testing.T) {
	n := NewLLMNode(nil, nil, LLMConfig{Tools: []provider.Tool{{Name: "clock"}}})
	conversation := []node.Message{
		{Role: "user", Text: "what time is it"},
		{Role: "tool_call", Text: "{}", Call: "c1", Name: "clock"},
		{Role: "tool_result", Text: "noon", Call: "c1", Name: "clock"},
	}
	if p := n.prompt(conversation, false, false); len(p.Tools) != 0 || len(p.Messages) != 2 || p.Messages[1].Text != "The tool clock answered: noon" || p.Validate() != nil {
		t.Errorf("%+v", p)
	}
	if p := n.prompt(conversation, true, true); len(p.Tools) != 1 || !p.NoCalls || len(p.Messages) != 3 || p.Messages[2].Call != "c1" || p.Validate() != nil {
		t.Errorf("%+v", p)
	}
}

// A model that writes the arguments of a call brings no text, and is at work all the same:
// that is said at most every 250 ms.
func TestMetadataIsASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(newWall())
		call := d.Begin(Request{Invocation: "c1", Turn: "t1", Attempt: 1, Timeout: time.Minute, Provider: model(false, providertest.Injection{}).Descriptor()})
		call.Run(func(_ context.Context, _ provider.Call, sink provider.Sink) provider.Outcome {
			out := provider.NewEmitter(sink)
			for range 10 {
				time.Sleep(100 * time.Millisecond)
				out.Metadata(nil)
			}
			out.ToolCall("clock", "")
			return out.Final(provider.Usage{})
		}, func(timebase.Instant, provider.Chunk) {}, nil)
		time.Sleep(2 * time.Second)
		ends, _ := d.state()
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(ends) != 1 || ends[0].First.MS() != 1000 || ends[0].Chunks != 0 && ends[0].Chunks != 1 || d.alive < 3 || d.alive > 5 {
			t.Errorf("told %d times that it is at work, %+v", d.alive, ends)
		}
	})
}

// The pieces of a synthesiser become chunks of a length that does not depend on where the pieces
// end, with every sample in its place.
func TestCoalescerKeepsEverySample(t *testing.T) {
	random := timebase.NewRandom(5)
	for range 200 {
		var c coalescer
		var said, heard []int16
		take := func(chunk []int16, last bool) {
			want := laterChunk
			if c.count == 0 {
				want = firstChunk
			}
			if len(chunk) == 0 || len(chunk) > laterChunk || !last && len(chunk) < want {
				t.Fatalf("chunk %d has %d samples", c.count, len(chunk))
			}
			heard = append(heard, chunk...)
			c.count++
		}
		for range 1 + random.Below(8) {
			piece := make([]int16, random.Below(int64(3*laterChunk)))
			for i := range piece {
				piece[i] = int16(random.Below(1 << 15)) //nolint:gosec // it fits
			}
			said = append(said, piece...)
			c.add(piece)
			for chunk := c.next(); chunk != nil; chunk = c.next() {
				take(chunk, false)
			}
		}
		if rest := c.rest(); len(rest) > 0 {
			take(rest, true)
		}
		if !slices.Equal(said, heard) {
			t.Fatalf("%d samples came out of %d, or in another order", len(heard), len(said))
		}
	}
}
