// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/internal/observability/replay"
	"github.com/parley-voice/parley/internal/observability/timeline"
	"github.com/parley-voice/parley/internal/runtime/admission"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/transport"
)

// Types of the runtime that calls are observed and steered with.
type (
	// Session is one call that runs. Its methods may be called from any goroutine.
	Session = sessionhost.Session
	// Notice tells an observer of one thing that a session took or decided.
	Notice = sessionhost.Notice
	// EdgeView tells what lies in the edges of a session.
	EdgeView = sessionhost.EdgeView
	// Direction says whose audio a frame is.
	Direction = sessionhost.Direction
	// Stats is what a session counted.
	Stats = sessionhost.Stats
	// Policy is how proposals and interruptions are judged; zero fields are the profile's.
	Policy = turn.Policy
	// Quotas bound what tenants, their sessions and turns use.
	Quotas = gate.Policy
	// Quota is one of them: a scope (tenant, session, turn), a limit (concurrent_sessions,
	// sessions_per_minute, turns_per_minute, tokens_per_minute, audio_seconds,
	// tts_characters, provider_concurrency), and what happens when it is reached (reject,
	// defer, throttle, degrade).
	Quota = gate.Quota
	// QuotaOverride changes fields of a quota for one tenant.
	QuotaOverride = gate.Override
	// Refusal is what the error of a call that was not let in wraps.
	Refusal = sessionhost.Refusal
	// AdmissionStats is what a runtime counted of the calls that came, and how it stands.
	AdmissionStats = admission.Stats
	// TenantStats is what it counted of one tenant.
	TenantStats = admission.TenantStats
	// PoolStats is how the execution pool stands, and what it counted.
	PoolStats = nodehost.PoolStats
	// Tool is a function that the model may call, and Run what runs it.
	Tool = sessionhost.Tool
	// ToolCall says which call of a tool is being run.
	ToolCall = sessionhost.ToolCall
	// Graph is what a call runs, and what its nodes are bound to; ModelBinding and VoiceBinding
	// say what serves its models and synthesisers.
	Graph        = sessionhost.Graph
	ModelBinding = sessionhost.ModelBinding
	VoiceBinding = sessionhost.VoiceBinding
	// GraphDefinition is a graph as the kernel compiles it, of GraphNodes and GraphEdges, whose
	// conditions are GraphTests.
	GraphDefinition = graph.Definition
	GraphNode       = graph.Node
	GraphEdge       = graph.Edge
	GraphTest       = graph.Test
	// Timing is what a runtime measured of its own punctuality.
	Timing = sessionhost.Timing
)

// ToolCallOf gives the call that a Tool's Run was given its context for. Its ID is the
// idempotency key: a tool that hands it on to what it calls acts once, whatever fails.
func ToolCallOf(ctx context.Context) (ToolCall, bool) { return sessionhost.ToolCallOf(ctx) }

// Config is what a Runtime runs its calls with.
type Config struct {
	STT provider.STT
	LLM provider.LLM
	TTS provider.TTS
	// The second candidates, nil = none: each serves when the attempts with the first are
	// spent, if there is time for it and AdaptiveActions has provider_switch. The next turn
	// begins with the first again; recognisers take the utterances that follow a failure.
	SecondSTT provider.STT
	SecondLLM provider.LLM
	SecondTTS provider.TTS
	// FallbackReply is said in place of an answer that does not come: the model has failed,
	// or its time is over before its first word. Empty = such a turn ends without a word.
	FallbackReply string
	// AdaptiveActions is what a turn may do when something fails or takes too long: retry,
	// provider_switch, degrade, fallback. nil = all of them, as the profile has it; an empty
	// list = none: then the turn ends.
	AdaptiveActions []controlplane.AdaptiveAction
	// Endpointer makes the node that hears speech begin and end, one for each call.
	Endpointer func() (node.Node, error)
	// Segmenter makes the node that cuts a reply into speakable pieces, one for each turn.
	Segmenter func() (node.Node, error)

	SystemPrompt string
	Language     string // BCP 47; empty = the engines' own
	Voice        string // of TTS, empty = its own; SecondTTS speaks in its own
	Policy       Policy
	// Tools are what the model may call and the program runs; clients may offer others of their
	// own. ToolTimeout is how long a turn waits for one, 0 = 15 s: then the model is told that
	// it did not answer.
	Tools       []Tool
	ToolTimeout time.Duration
	// MoreTools gives further tools, those that there are at the moment: it is asked as each turn
	// opens, from any goroutine, and does not wait. nil = there are none.
	MoreTools func() []Tool
	// TurnBudget is the time from the opening of a turn to its first sound, and
	// ProviderTimeout the time to a provider's first result. 0 = the profile's 2 s and 1 s.
	TurnBudget, ProviderTimeout time.Duration
	// Graph is what a call runs between its recogniser and its listener, and Nodes are the kinds
	// of nodes that it may name; nil = the voice graph of the profile. A Call may have another.
	Graph *Graph
	Nodes *node.Registry
	// Flow sets the edges, flow control, budgets, actions and quotas of the calls, with the
	// layer of each value (see ReadFlow); nil = the profile's. What somebody set there
	// stands in place of TurnBudget, AdaptiveActions and Quotas.
	Flow *Flow

	// Shards is the number of goroutines that own sessions; 0 = one a core.
	Shards int
	// MaxSessions is how many calls there may be at a time; 0 = as many as the processors
	// carry, which a Runtime finds out: a few at first, and more as it learns what a call
	// costs. In virtual time 0 is no bound.
	MaxSessions int
	// Workers is how many pieces of work of nodes run at a time, for all calls together; 0 =
	// four for each processor. WorkQueue is how many may wait for a worker, 0 = 1024; what
	// can wait longer waits in its edge, what cannot is shed by a decision. MaxStreams is how
	// many calls of providers may be under way at a time, 0 = 32768. In virtual time work
	// waits for nothing, and they bound nothing.
	Workers, WorkQueue, MaxStreams int
	// Quotas bound what tenants, their sessions and turns use. Those of Flow, if it has
	// some, stand in their place.
	Quotas Quotas
	// Build names the program in recordings.
	Build string
}

// Validate reports all faults at once.
func (c *Config) Validate() error {
	faults := []error{}
	if err := c.providers().Validate(); err != nil {
		faults = append(faults, fmt.Errorf("parley: %w", err))
	}
	if c.FallbackReply != "" && strings.TrimSpace(c.FallbackReply) == "" {
		faults = append(faults, fmt.Errorf("parley: fallback_reply: %q: give words to be said, or leave it empty", c.FallbackReply))
	}
	if _, err := turn.ParseActions(c.actions()); err != nil {
		faults = append(faults, fmt.Errorf("parley: adaptive_actions: %w", err))
	}
	if c.Endpointer == nil {
		faults = append(faults, errors.New("parley: endpointer: none is given: give a factory, for example one of package node/vad"))
	}
	if c.Segmenter == nil {
		faults = append(faults, errors.New("parley: segmenter: none is given: give a factory, for example one of package node/segmenter"))
	}
	for _, f := range [...]struct {
		name  string
		value time.Duration
	}{{"turn_budget", c.TurnBudget}, {"provider_timeout", c.ProviderTimeout}, {"tool_timeout", c.ToolTimeout}} {
		if f.value < 0 {
			faults = append(faults, fmt.Errorf("parley: %s: %v: use 0 for the profile's value, or a positive time", f.name, f.value))
		}
	}
	faults = append(faults, c.validateSpeech()...)
	faults = append(faults, c.validateTools()...)
	if c.Graph != nil {
		if err := c.Graph.Check(c.Nodes); err != nil {
			faults = append(faults, fmt.Errorf("parley: %w", err))
		}
	}
	if c.MaxSessions < 0 {
		faults = append(faults, fmt.Errorf("parley: max_sessions: %d: use 0 for what the processors carry, or a positive number", c.MaxSessions))
	}
	for _, f := range [...]struct {
		name  string
		value int
	}{{"workers", c.Workers}, {"work_queue", c.WorkQueue}, {"max_streams", c.MaxStreams}} {
		if f.value < 0 || f.value > controlplane.MaxTasks {
			faults = append(faults, fmt.Errorf("parley: %s: %d: use 0 for the default, or 1 to %d", f.name, f.value, controlplane.MaxTasks))
		}
	}
	quotas := c.quotas()
	if err := quotas.Validate(c.allowed()); err != nil {
		faults = append(faults, fmt.Errorf("parley: quotas: %w", err))
	}
	return errors.Join(faults...)
}

// validateTools checks the tools, each of which runs something.
func (c *Config) validateTools() (faults []error) {
	if err := sessionhost.ValidateTools(c.Tools); err != nil {
		faults = append(faults, fmt.Errorf("parley: %w", err))
	}
	for i := range c.Tools {
		if c.Tools[i].Run == nil {
			faults = append(faults, fmt.Errorf("parley: tools[%d].run: none is given for %q: give the function that runs it", i, c.Tools[i].Name))
		}
	}
	return faults
}

// quotas are those in force.
func (c *Config) quotas() Quotas {
	if c.Flow != nil {
		if p := c.Flow.QuotaPolicy(); len(p.Quotas)+len(p.Tenants) > 0 {
			return p
		}
	}
	return c.Quotas
}

// allowed is what the calls' plans list; none where that cannot be read, which is a fault
// of its own.
func (c *Config) allowed() []controlplane.AdaptiveAction {
	s := session.Settings{AdaptiveActions: c.actions()}
	if c.Flow != nil {
		c.Flow.Apply(&s)
	}
	list, _ := turn.ParseActions(s.AdaptiveActions)
	return list
}

func (c *Config) providers() invocation.Providers {
	return invocation.Providers{
		STT: c.STT, LLM: c.LLM, TTS: c.TTS, SecondSTT: c.SecondSTT, SecondLLM: c.SecondLLM, SecondTTS: c.SecondTTS,
	}
}

// actions is AdaptiveActions as a session's settings have it.
func (c *Config) actions() string {
	if c.AdaptiveActions == nil {
		return ""
	}
	if len(c.AdaptiveActions) == 0 {
		return turn.NoActions
	}
	names := make([]string, len(c.AdaptiveActions))
	for i, a := range c.AdaptiveActions {
		names[i] = string(a)
	}
	return strings.Join(names, ",")
}

// What a call is in that does not say.
const (
	DefaultTenant   = "local"
	DefaultPipeline = "voice-1"
)

// Call is one conversation to be held.
type Call struct {
	// ID names the session; empty = a random one.
	ID        string
	Tenant    string         // empty = DefaultTenant
	Pipeline  string         // empty = DefaultPipeline
	Epoch     eventabi.Epoch // of the session's lease; 0 = 1
	Transport transport.Adapter
	// Graph is in place of the Config's, nil = that: calls of several versions of a pipeline go
	// on side by side. Graph.Check says whether one can be run.
	Graph *Graph
	// Wishes are what the client chooses of what the Config says; whoever makes the Call has
	// decided that it may.
	Wishes transport.Wishes
	// Record is the folder of the recording, which must not exist; empty = none.
	Record string
	// TextKey is the secret of the recorded text hashes; 0 = a random one.
	TextKey uint64
	// Observe is told what the session does, on the session's own goroutine: it returns
	// quickly. Frames is shown every frame of both directions.
	Observe func(*Notice)
	Frames  func(d Direction, at time.Duration, sample int64, pcm []int16)
	// Waits is shown what lies in the call's edges after each step, and Metrics is told its
	// metrics events, which cross the edge telemetry first; both like Observe.
	Waits   func(at time.Duration, v EdgeView)
	Metrics func(e *eventabi.Envelope)
}

// Runtime runs calls in real time.
type Runtime struct {
	config Config
	host   *sessionhost.Host
}

// New starts a runtime. It runs until Close.
func New(c Config) (*Runtime, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	host, err := sessionhost.New(sessionhost.Config{
		Shards: c.Shards, MaxSessions: c.MaxSessions, Quotas: c.quotas(), Adaptive: true,
		Pool: nodehost.PoolConfig{Workers: c.Workers, Queue: c.WorkQueue, Streams: c.MaxStreams},
	})
	if err != nil {
		return nil, fmt.Errorf("parley: %w", err)
	}
	return &Runtime{config: c, host: host}, nil
}

// Admission gives what the runtime counted of the calls that came, and how it stands.
func (r *Runtime) Admission() AdmissionStats { return r.host.Admission() }

// Work gives how the execution pool stands, which all calls share.
func (r *Runtime) Work() PoolStats { return r.host.Pool() }

// Timing gives what the runtime has measured of its own punctuality so far.
func (r *Runtime) Timing() Timing { return r.host.Timing() }

// Tenants gives what the runtime counted of each tenant.
func (r *Runtime) Tenants() []TenantStats { return r.host.Tenants() }

// Start begins a call. ctx bounds the binding of the transport only. The error of a call
// that is not let in wraps a *Refusal; its recording, if it has one, holds the decision.
func (r *Runtime) Start(ctx context.Context, call Call) (*Session, error) {
	return start(ctx, &r.config, call, false, time.Now(), r.host.Open)
}

// Close ends all calls: they drain until ctx is over and end by force after that.
func (r *Runtime) Close(ctx context.Context) error { return r.host.Close(ctx) }

// Virtual runs calls in virtual time. It and its calls belong to one goroutine.
type Virtual struct {
	config Config
	wall   time.Time
	world  *sessionhost.Virtual
}

// NewVirtual makes a world whose wall clock begins at an instant. Equal worlds with
// equal calls decide equally, byte for byte, as far as their providers do.
func NewVirtual(c Config, wall time.Time) (*Virtual, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	world := sessionhost.NewVirtual(wall.UnixMilli())
	if quotas := c.quotas(); c.MaxSessions > 0 || len(quotas.Quotas)+len(quotas.Tenants) > 0 {
		slots := gate.SlotConfig{MaxSessions: int64(c.MaxSessions)}
		if slots.MaxSessions == 0 {
			slots.MaxSessions = gate.MaxSlots
		}
		if err := world.Govern(admission.Config{Quotas: quotas, Slots: slots}); err != nil {
			return nil, fmt.Errorf("parley: %w", err)
		}
	}
	return &Virtual{config: c, wall: wall, world: world}, nil
}

// Start begins a call.
func (v *Virtual) Start(ctx context.Context, call Call) (*Session, error) {
	return start(ctx, &v.config, call, true, v.Now(), v.world.Open)
}

// Now is the world's wall clock.
func (v *Virtual) Now() time.Time { return v.wall.Add(time.Duration(v.world.Now())) }

// Every has f run at each multiple of a period until it says false.
func (v *Virtual) Every(period time.Duration, f func() bool) {
	v.world.Every(timebase.Span(period), f)
}

// Run lets time pass until every call has ended, nothing is due any more, or the
// given time has passed.
func (v *Virtual) Run(ctx context.Context, most time.Duration) error {
	if err := v.world.Run(ctx, timebase.Instant(most)); err != nil {
		return fmt.Errorf("parley: %w", err)
	}
	return nil
}

type opener func(context.Context, sessionhost.Settings) (*sessionhost.Session, error)

func start(ctx context.Context, c *Config, call Call, virtual bool, now time.Time, open opener) (*Session, error) {
	if call.Transport == nil {
		return nil, errors.New("parley: transport: none is given: give an adapter, for example one of package transport/loopback")
	}
	fill(&call.ID, "call-"+token())
	fill(&call.Tenant, DefaultTenant)
	fill(&call.Pipeline, DefaultPipeline)
	if call.Epoch == 0 {
		call.Epoch = 1
	}
	if call.TextKey == 0 {
		call.TextKey = secret()
	}
	s := settings(c, call)
	if call.Record == "" {
		return open(ctx, s)
	}
	recorder, err := record(c, call, virtual, now)
	if err != nil {
		return nil, err
	}
	s.Recorder = recorder
	x, err := open(ctx, s)
	var refusal *Refusal
	if errors.As(err, &refusal) { // its recording is closed
		return nil, err
	}
	if err != nil {
		return nil, errors.Join(err, recorder.Close("not_opened", recorder.Digest()))
	}
	return x, nil
}

func record(c *Config, call Call, virtual bool, now time.Time) (*replay.SessionRecorder, error) {
	o := timeline.Options{
		Synchronous: virtual,
		Meta: timeline.Meta{
			SessionID:      call.ID,
			Build:          c.Build,
			ProfileVersion: controlplane.ProfileSimple,
			RecordingLevel: string(controlplane.RecordingL0),
			SampleRateHz:   timebase.SampleRate,
			WallAnchor:     now,
		},
	}
	if virtual { // equal runs give equal bytes
		copy(o.RecordingID[:], call.ID)
	}
	return replay.RecordSession(call.Record, o)
}

func settings(c *Config, call Call) sessionhost.Settings {
	s := sessionhost.Settings{
		Bootstrap: session.Bootstrap{
			Session:  eventabi.SessionID(call.ID),
			Tenant:   call.Tenant,
			Pipeline: eventabi.PipelineVersion(call.Pipeline),
			Profile:  controlplane.ProfileSimple,
			Graph:    "voice/1",
			Epoch:    call.Epoch,
			Settings: session.Settings{
				Policy:           c.Policy,
				TurnBudgetMS:     c.TurnBudget.Milliseconds(),
				InvocationMS:     c.ProviderTimeout.Milliseconds(),
				ToolTimeoutMS:    c.ToolTimeout.Milliseconds(),
				AdaptiveActions:  c.actions(),
				AvailabilityMode: true,
			},
		},
		Kind:          call.Transport.Kind(),
		Ack:           call.Transport.Capabilities().Ack,
		Connect:       call.Transport.Open,
		Providers:     c.providers(),
		Endpointer:    c.Endpointer,
		Segmenter:     c.Segmenter,
		Tools:         c.Tools,
		MoreTools:     c.MoreTools,
		SystemPrompt:  c.SystemPrompt,
		FallbackReply: c.FallbackReply,
		Language:      c.Language,
		Voice:         c.Voice,
		TextKey:       call.TextKey,
		Observer:      call.Observe,
		Metrics:       call.Metrics,
	}
	if c.Flow != nil {
		s.Edges, s.Flow, s.Nodes = c.Flow.EdgePolicies(), c.Flow.FlowPolicy(), c.Flow.NodePolicies()
		c.Flow.Apply(&s.Bootstrap.Settings)
	}
	s.Graph, s.Kinds = c.Graph, c.Nodes
	if call.Graph != nil {
		s.Graph = call.Graph
	}
	s.Wish(call.Wishes)
	if call.Frames != nil {
		s.Frames = func(d Direction, at timebase.Instant, sample int64, pcm []int16) {
			call.Frames(d, time.Duration(at), sample, pcm)
		}
	}
	if call.Waits != nil {
		s.Waits = func(at timebase.Instant, v EdgeView) { call.Waits(time.Duration(at), v) }
	}
	return s
}

func fill(s *string, def string) {
	if *s == "" {
		*s = def
	}
}

// token gives 12 random hexadecimal digits.
func token() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func secret() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
