// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/provider"
)

// patience is how long a suite waits for what must come before it calls the test failed.
// It is no measure of speed.
const patience = time.Minute

// Failure is a way to make an adapter fail, and how the call must then end. Each adapter
// has its own, so each names them: a fake server that answers 429, a missing model.
type Failure[P any] struct {
	Name   string
	New    func(t *testing.T) P
	Class  provider.OutcomeClass
	Reason string // empty = any
}

// NewCall gives a complete identity of a call.
func NewCall(m provider.Modality) provider.Call {
	return provider.Call{
		SessionID: "conformance-session", TurnID: "conformance-turn", PipelineVersion: "conformance/v1",
		EventID: "conformance-event", InvocationID: "conformance-invocation", ProviderID: "conformance",
		Modality: m, Attempt: 1, AuthorityEpoch: 1, IdempotencyKey: "conformance-key", Timeout: patience,
	}
}

// brokenCalls are identities that an adapter must refuse.
func brokenCalls(m provider.Modality) map[string]provider.Call {
	list := map[string]provider.Call{}
	alter := func(name string, change func(*provider.Call)) {
		c := NewCall(m)
		change(&c)
		list[name] = c
	}
	alter("no_session", func(c *provider.Call) { c.SessionID = "" })
	alter("no_invocation", func(c *provider.Call) { c.InvocationID = "" })
	alter("no_idempotency_key", func(c *provider.Call) { c.IdempotencyKey = "" })
	alter("no_timeout", func(c *provider.Call) { c.Timeout = 0 })
	alter("attempt_0", func(c *provider.Call) { c.Attempt = 0 })
	alter("other_modality", func(c *provider.Call) { c.Modality = "video" })
	return list
}

// recorder is a sink that holds a call to the contract while it listens.
type recorder struct {
	t       *testing.T
	checker *provider.StreamChecker
	ended   chan struct{}

	mu     sync.Mutex
	busy   bool
	closed bool
	faults []string
	chunks []provider.Chunk
	copies [][]int16 // of PCM as it came
	on     func(provider.Chunk)
}

func newRecorder(t *testing.T, m provider.Modality) *recorder {
	t.Helper()
	return &recorder{t: t, checker: provider.NewStreamChecker(m), ended: make(chan struct{})}
}

// sink takes one chunk. Faults are kept, not reported: an adapter may call from a
// goroutine that outlives the test.
func (r *recorder) sink(c provider.Chunk) {
	r.mu.Lock()
	if r.busy {
		r.faults = append(r.faults, "the sink was called from two goroutines at once (rule 1)")
	}
	if r.closed {
		r.faults = append(r.faults, fmt.Sprintf("chunk %q came after the call was over", c.Kind))
	}
	r.busy = true
	was := r.checker.Ended()
	if err := r.checker.Check(c); err != nil {
		r.faults = append(r.faults, err.Error())
	}
	r.chunks = append(r.chunks, c)
	r.copies = append(r.copies, append([]int16(nil), c.PCM...))
	on := r.on
	r.mu.Unlock()
	if on != nil {
		on(c)
	}
	r.mu.Lock()
	r.busy = false
	if !was && r.checker.Ended() {
		close(r.ended)
	}
	r.mu.Unlock()
}

// close says that nothing may come any more.
func (r *recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// verify reports what was wrong so far. With whole, the stream must have ended.
func (r *recorder) verify(whole bool) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if whole && len(r.faults) == 0 {
		if err := r.checker.Finish(); err != nil {
			r.faults = append(r.faults, err.Error())
		}
	}
	for i, c := range r.chunks {
		for j := range c.PCM {
			if c.PCM[j] != r.copies[i][j] {
				r.faults = append(r.faults, fmt.Sprintf("the samples of chunk %d changed after it was delivered (rule 3)", i))
				break
			}
		}
	}
	for _, f := range r.faults {
		r.t.Error(f)
	}
	r.faults = nil
}

// outcome is what the stream says of the call.
func (r *recorder) outcome() provider.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.checker.Outcome()
}

// text and samples are what came.
func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, c := range r.chunks {
		b.WriteString(c.Text)
	}
	return b.String()
}

// count is the number of chunks of a kind.
func (r *recorder) count(k provider.ChunkKind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, c := range r.chunks {
		if c.Kind == k {
			n++
		}
	}
	return n
}

// wait waits for the end of the stream.
func (r *recorder) wait() {
	r.t.Helper()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-r.ended:
	case <-t.C:
		r.t.Fatal("the stream did not end")
	}
}

// expect compares the outcome of a call.
func expect(t *testing.T, got provider.Outcome, class provider.OutcomeClass, reason string) {
	t.Helper()
	if got.Class != class || (reason != "" && got.Reason != reason) {
		t.Errorf("outcome %+v; want class %q, reason %q", got, class, reason)
	}
}

// refused compares the outcome of a call that must not reach the engine.
func refused(t *testing.T, got provider.Outcome) {
	t.Helper()
	expect(t, got, provider.OutcomeInfrastructureFailure, provider.ReasonInvalidRequest)
	if got.Retryable || got.Detail == "" {
		t.Errorf("outcome %+v; a refusal is not retryable and says what is wrong", got)
	}
}

// describe checks what an adapter says of itself.
func describe(t *testing.T, d, again provider.Descriptor, m provider.Modality) {
	t.Helper()
	if d.ID == "" || strings.ContainsFunc(d.ID, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_') }) {
		t.Errorf("id %q; want lower_snake_case", d.ID)
	}
	if d.Modality != m {
		t.Errorf("modality %q, want %q", d.Modality, m)
	}
	if d.Model == "" {
		t.Error("model is empty")
	}
	if d.ContractVersion != provider.ContractVersion {
		t.Errorf("contract version %q, want %q", d.ContractVersion, provider.ContractVersion)
	}
	if d.Expected.First < 0 || d.Expected.Next < 0 || d.Capabilities.CancelLatency < 0 || d.Capabilities.MaxConcurrent < 0 || d.Capabilities.MaxInput < 0 {
		t.Errorf("negative figures in %+v", d)
	}
	rate := d.Capabilities.SampleRateHz
	if m != provider.ModalityLLM && (rate < provider.MinSampleRate || rate > provider.MaxSampleRate) {
		t.Errorf("sample rate %d Hz; want %d to %d", rate, provider.MinSampleRate, provider.MaxSampleRate)
	}
	if fmt.Sprint(d) != fmt.Sprint(again) {
		t.Errorf("the descriptor changed from %+v to %+v", d, again)
	}
}

// leakFree runs a test and then looks for goroutines that it left behind.
func leakFree(t *testing.T, run func(t *testing.T)) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Run("calls", run) // its clean-ups have run when Run returns
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// release closes an adapter that can be closed when the test ends.
func release[P any](t *testing.T, p P) P {
	t.Helper()
	if c, ok := any(p).(io.Closer); ok {
		t.Cleanup(func() { _ = c.Close() })
	}
	return p
}

// parallel is how many calls at a time a suite tries.
func parallel(c provider.Capabilities) int {
	if n := c.MaxConcurrent; n > 0 {
		return min(n, 4)
	}
	return 4
}

// expired is a context whose deadline has passed.
func expired(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	t.Cleanup(cancel)
	return ctx
}

// cancelled is a context that has been cancelled.
func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
