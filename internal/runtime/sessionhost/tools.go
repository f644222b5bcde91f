// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/transport"
)

// Tool is a function that the model may call.
type Tool struct {
	Name        string // 1 to 64 of letters, digits, underscore and hyphen
	Description string // what it does, for the model
	// Parameters is a JSON Schema of the arguments, as JSON; empty = none.
	Parameters []byte
	// Run runs it with the arguments that the model gave, valid JSON, and gives what the model
	// is told: the output, or why there is none. It may be called from any goroutine, several
	// times at once, and once for each call: ToolCallOf tells which. ctx ends with the session
	// and when the turn's patience is over, not with the turn: an interruption takes no effect
	// back, and what Run returns then is kept. nil = the client runs it.
	Run func(ctx context.Context, arguments string) (string, error)
}

// ToolCall says which call of a tool is being run.
type ToolCall struct {
	ID      string // its idempotency key
	Session eventabi.SessionID
	Turn    eventabi.TurnID
	Name    string
}

type toolCallKey struct{}

// ToolCallOf gives the call that a Tool's Run was given its context for.
func ToolCallOf(ctx context.Context) (c ToolCall, ok bool) {
	c, ok = ctx.Value(toolCallKey{}).(ToolCall)
	return c, ok
}

// The bounds of one session.
const (
	// maxToolsRunning are tools of the program that run at a time, with those that nobody
	// waits for any more.
	maxToolsRunning = 32
	// maxHanded are calls of which the client may give the result.
	maxHanded = 128
)

// toolbox is what a session's model may call.
type toolbox struct {
	running atomic.Int64
	refused atomic.Int64 // tools that a client offered and that cannot be called
	more    func() []Tool

	mu      sync.Mutex
	program []Tool
	client  []Tool   // Run is nil
	handed  []string // the keys of calls that the client has got, oldest first
}

func providerTool(t Tool) provider.Tool {
	return provider.Tool{Name: t.Name, Description: t.Description, Parameters: t.Parameters}
}

// ValidateTools checks the tools that a session is opened with, and reports all faults at
// once.
func ValidateTools(list []Tool) error {
	tools := make([]provider.Tool, len(list))
	for i := range list {
		tools[i] = providerTool(list[i])
	}
	return provider.ValidateTools(tools)
}

// open lays out the tools that a session begins with.
func (b *toolbox) open(list []Tool) {
	for _, t := range list {
		if t.Run != nil {
			b.program = append(b.program, t)
		} else {
			b.client = append(b.client, t)
		}
	}
}

// wishTools has a session begin with the tools of a client beside the program's.
func (s *Settings) wishTools(list []transport.Tool) {
	if list == nil {
		return
	}
	var all []Tool
	for _, t := range s.Tools {
		if t.Run != nil {
			all = append(all, t)
		}
	}
	for _, w := range list {
		if t := clientTool(&w); findTool(all, t.Name) == nil {
			all = append(all, t)
		}
	}
	s.Tools = all
}

func clientTool(w *transport.Tool) Tool {
	return Tool{Name: w.Name, Description: w.Description, Parameters: slices.Clone(w.Parameters)}
}

// offerTools takes what a client wishes to run, from the next turn on; nil leaves what there is.
func (s *Session) offerTools(list []transport.Tool) {
	if list != nil {
		s.tools.offer(list)
	}
}

// offer replaces what the client runs. What cannot be called is left out and counted: a tool
// without a good name or schema, one that the program has already, or one too many.
func (b *toolbox) offer(list []transport.Tool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.client = nil
	for _, w := range list {
		t := clientTool(&w)
		if providerTool(t).Validate() != nil || findTool(b.program, t.Name) != nil || findTool(b.client, t.Name) != nil ||
			len(b.program)+len(b.client) >= provider.MaxTools {
			b.refused.Add(1)
			continue
		}
		b.client = append(b.client, t)
	}
}

func findTool(list []Tool, name string) *Tool {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// offered is what the model may call: the program's tools, those that it has at the moment, and
// the client's if it can be told. Of one name the first counts; what cannot be called is left out.
func (b *toolbox) offered(client bool) []Tool {
	var more []Tool
	if b.more != nil {
		more = b.more()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Clone(b.program)
	take := func(t *Tool) {
		if len(list) < provider.MaxTools && findTool(list, t.Name) == nil {
			list = append(list, *t)
		}
	}
	for i := range more {
		if t := &more[i]; t.Run != nil && providerTool(*t).Validate() == nil {
			take(t)
		}
	}
	for i := range b.client {
		if client {
			take(&b.client[i])
		}
	}
	return list
}

// hand notes that the client may give the result of a call.
func (b *toolbox) hand(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.handed) >= maxHanded {
		b.handed = append(b.handed[:0], b.handed[1:]...)
	}
	b.handed = append(b.handed, key)
}

func (b *toolbox) wasHanded(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.handed, key)
}

// toolsOffered is what the model of a turn that begins may call.
func (s *Session) toolsOffered() []Tool {
	_, client := s.link.(transport.ToolSink)
	return s.tools.offered(client)
}

// callTool has a tool run, by whoever runs it. A call that nobody can run is answered with
// why, so that the model can do better.
func (s *Session) callTool(e *session.CallTool) {
	arguments := s.content.text(e.Arguments)
	tool := findTool(s.graph.toolsOf(e.Turn), e.Name)
	switch {
	case tool == nil:
		s.answerTool(e.Call, fmt.Sprintf("there is no tool named %q", e.Name), true)
	case !json.Valid([]byte(arguments)):
		s.answerTool(e.Call, "the arguments are not valid JSON: call again with an object", true)
	case tool.Run != nil:
		s.runTool(e, tool, arguments)
	default:
		s.tools.hand(e.Call)
		s.link.(transport.ToolSink).WriteToolCall(transport.ToolCall{ //nolint:forcetypeassert // else it was not offered
			ID: e.Call, Turn: e.Turn, Name: e.Name, Arguments: arguments,
		})
	}
}

// runTool runs a tool of the program beside the calls of providers, which mostly wait as well.
func (s *Session) runTool(e *session.CallTool, tool *Tool, arguments string) {
	if s.tools.running.Add(1) > maxToolsRunning {
		s.tools.running.Add(-1)
		s.answerTool(e.Call, "too many tools are running: call again later", true)
		return
	}
	call := ToolCall{ID: e.Call, Session: s.ID(), Turn: e.Turn, Name: e.Name}
	timeout := time.Duration(e.TimeoutMS) * time.Millisecond
	run := tool.Run
	if why := s.exec.Stream(func() {
		defer s.tools.running.Add(-1)
		output, failed := s.toolOutput(run, call, timeout, arguments)
		s.answerTool(call.ID, output, failed)
	}); why != "" {
		s.tools.running.Add(-1)
		s.answerTool(e.Call, "the host is busy: call again later", true)
	}
}

// toolOutput runs a tool within its time. A panic is the tool's failure and nobody else's.
func (s *Session) toolOutput(run func(context.Context, string) (string, error), call ToolCall, timeout time.Duration, arguments string) (output string, failed bool) {
	ctx := context.WithValue(s.ctx, toolCallKey{}, call)
	if !s.exec.Virtual() { // where time is virtual the kernel's patience is all there is
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, timeout)
		defer stop()
	}
	defer func() {
		if recover() != nil {
			s.counts.toolPanics.Add(1)
			output, failed = "the tool has crashed", true
		}
	}()
	output, err := run(ctx, arguments)
	if errors.Is(err, context.DeadlineExceeded) {
		return "the tool did not answer in time", true
	}
	if err != nil {
		return err.Error(), true
	}
	return output, false
}

// answerTool gives the result of a call to the kernel.
func (s *Session) answerTool(key, output string, failed bool) {
	if len(output) > provider.MaxToolContent {
		output, failed = fmt.Sprintf("the result has %d bytes, more than %d: ask for less", len(output), provider.MaxToolContent), true
	}
	s.post(&session.ToolResult{Call: key, Output: s.describe(output), Failed: failed})
}

// toolCalled tells the kernel what the model calls.
func (g *graph) toolCalled(id eventabi.InvocationID, attempt, index int64, t provider.ToolCall) {
	g.s.post(&session.ToolCalled{
		Invocation: id, Attempt: attempt, Index: index, Name: t.Name, Arguments: g.s.describe(t.Arguments),
	})
}

// toolsOf is what a turn's model was offered; it does not change within the turn.
func (g *graph) toolsOf(turn eventabi.TurnID) []Tool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.turn == nil || g.turn.turn != turn {
		return nil
	}
	return g.turn.tools
}

// ToolResult takes what the client's tool answered. A client answers what it was asked: the
// result of another call is as unknown as one that was never made.
func (i *ingress) ToolResult(r transport.ToolResult) {
	s := (*Session)(i)
	if !s.taken() {
		return
	}
	if !s.tools.wasHanded(r.ID) {
		r.ID, r.Output = "", ""
	}
	s.answerTool(r.ID, r.Output, r.Failed)
}
