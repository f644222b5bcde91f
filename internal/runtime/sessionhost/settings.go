// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/histogram"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/transport"
)

// Settings is what a session is opened with.
type Settings struct {
	// Bootstrap is what transport and control plane established. Provider bindings that
	// are empty get the ids of Providers; WallMS 0 is the present (virtual time: the
	// driver's base). Settings.StreamingSTT follows the recogniser's own declaration,
	// Settings.PlainTTS whether there are wishes of style, and Fallback FallbackReply.
	Bootstrap session.Bootstrap
	Kind      transport.Kind
	// Ack is how the transport knows what was played; empty = AckEstimate. With the others,
	// what was heard is what Ingress.Played says.
	Ack   transport.AckSource
	Token string
	Route string
	// Connect binds the transport; Adapter.Open fits. Required.
	Connect func(ctx context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error)

	Providers invocation.Providers
	// Endpointer makes the node that hears speech begin and end. It is called again when
	// an instance has failed. Required.
	Endpointer func() (node.Node, error)
	// Segmenter makes the node that cuts a turn's reply into speakable pieces. Required.
	Segmenter func() (node.Node, error)

	SystemPrompt string
	// FallbackReply is spoken when no answer comes and the plan allows fallback; empty =
	// there is nothing to fall back to.
	FallbackReply string
	Language      string // BCP 47: recognition, synthesis and the list of backchannels
	Voice         string
	Rate          float64
	LLM           invocation.LLMConfig
	Limits        node.Limits
	// TextKey is the secret of the session's text hashes. It is constant where two runs
	// must give equal recordings.
	TextKey uint64

	// Edges set the policies of edges, or declare further ones; Flow sets the flow control of
	// all. nil leaves the profile's and the voice graph's.
	Edges []session.EdgePolicy
	Flow  *session.FlowPolicy
	// Nodes set how the tasks of nodes are scheduled. nil leaves each node to the session's
	// own fairness key, without a limit.
	Nodes []session.NodePolicy
	// Graph is what the session runs between its recogniser and its listener; nil = the voice
	// graph of its profile. Kinds make its nodes.
	Graph *Graph
	Kinds *node.Registry
	// Taps are nodes beside the voice graph.
	Taps []Tap
	// Tools are what the model may call. The client may offer others later, in place of those
	// without Run.
	Tools []Tool
	// MoreTools gives further ones that run something, those that there are at the moment: it is
	// asked as each turn opens, on the session's owner, and does not wait. nil = there are none.
	MoreTools func() []Tool

	Recorder  Recorder       // nil = nothing is kept
	Observer  Observer       // nil = nobody looks
	Frames    FrameObserver  // nil = nobody looks
	Metrics   MetricObserver // nil = nobody looks
	Waits     EdgeObserver   // nil = nobody looks
	Snapshots SnapshotSource
	// Lateness counts how late each frame left, for those who compare groups of sessions;
	// nil = nobody does.
	Lateness *histogram.Histogram
}

// Validate reports every fault at once.
func (s *Settings) Validate() error {
	var faults []error
	want := func(ok bool, field, remedy string) {
		if !ok {
			faults = append(faults, fmt.Errorf("sessionhost: %s: is missing: %s", field, remedy))
		}
	}
	want(s.Bootstrap.Session != "", "bootstrap.session", "name the session")
	want(s.Bootstrap.Pipeline != "", "bootstrap.pipeline", "name the pipeline version")
	want(s.Connect != nil, "connect", "give a transport")
	want(s.Endpointer != nil, "endpointer", "give a node factory")
	want(s.Segmenter != nil, "segmenter", "give a node factory")
	switch s.Ack {
	case "", transport.AckEstimate, transport.AckClient, transport.AckGateway:
	default:
		faults = append(faults, fmt.Errorf("sessionhost: ack: %q: use %s, %s or %s", s.Ack, transport.AckEstimate, transport.AckClient, transport.AckGateway))
	}
	faults = append(faults, validateTaps(s.Taps)...)
	if s.Graph != nil {
		faults = append(faults, s.Graph.validate(s.Kinds)...)
	}
	if err := ValidateTools(s.Tools); err != nil {
		faults = append(faults, fmt.Errorf("sessionhost: %w", err))
	}
	for i := range s.Edges {
		if err := s.Edges[i].Validate(); err != nil {
			faults = append(faults, fmt.Errorf("sessionhost: edges[%d]: %w", i, err))
		}
	}
	for i := range s.Nodes {
		if err := s.Nodes[i].Validate(); err != nil {
			faults = append(faults, fmt.Errorf("sessionhost: nodes[%d]: %w", i, err))
		}
	}
	if s.Flow != nil {
		if err := s.Flow.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("sessionhost: flow: %w", err))
		}
	}
	if err := s.Providers.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("sessionhost: %w", err))
	}
	return errors.Join(faults...)
}

// The bounds of one session.
const (
	// maxFramesWaiting are caller frames in the inbox, 5 s of audio: with an owner that
	// is alive there are one or two.
	maxFramesWaiting = 250
	// maxAudioHeld bounds synthesised audio that was not played: the 30 s that the kernel
	// lets the synthesiser run ahead, and the longest segment after it.
	maxAudioHeld = 120 * timebase.SampleRate
	// maxPasses bounds the passes of one drain that feed each other.
	maxPasses = 64
	// maxRestarts is how often a session's endpointer is replaced after a failure.
	maxRestarts = 3
	// freshFor is how old the session's snapshots may be when something that can start a
	// turn happens; older ones are replaced first.
	freshFor = timebase.Second
	// defaultInvocation is the provider timeout of simple/v1 (turn-plan section 6).
	defaultInvocation = time.Second
)

// invocationTimeout is what calls without a timeout of their own get.
func (s *Settings) invocationTimeout() time.Duration {
	if ms := s.Bootstrap.Settings.InvocationMS; ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return defaultInvocation
}

// nodePolicies are the keys and limits of the session's nodes: of those of the voice graph,
// of its taps, and of whoever else a policy names.
func (s *Settings) nodePolicies() (list []nodehost.NodePolicy) {
	var ids []eventabi.NodeID
	for i := range s.Nodes {
		ids = append(ids, s.Nodes[i].Node)
	}
	if len(s.Edges) > 0 { // whose keys are their consumers'
		ids = append(ids, nodeEndpointer, nodeSTT, nodeLLM, nodeTTS)
		for i := range s.Taps {
			ids = append(ids, s.Taps[i].ID)
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		p := nodehost.NodePolicy{Node: id, Key: session.FairnessKey(id, s.Nodes, s.Edges)}
		for i := range s.Nodes {
			if s.Nodes[i].Node == id {
				p.Limit = s.Nodes[i].Policy.ConcurrencyLimit
			}
		}
		if p.Key != "" || p.Limit > 0 {
			list = append(list, p)
		}
	}
	return list
}

// bind fills in what the providers say of themselves.
func (s *Settings) bind() {
	b := &s.Bootstrap
	fill := func(v *string, id string) {
		if *v == "" {
			*v = id
		}
	}
	stt := s.Providers.STT.Descriptor()
	fill(&b.STT, stt.ID)
	fill(&b.LLM, s.Providers.LLM.Descriptor().ID)
	fill(&b.TTS, s.Providers.TTS.Descriptor().ID)
	if p := s.Providers.SecondSTT; p != nil {
		fill(&b.STTSecond, p.Descriptor().ID)
	}
	if p := s.Providers.SecondLLM; p != nil {
		fill(&b.LLMSecond, p.Descriptor().ID)
	}
	if p := s.Providers.SecondTTS; p != nil {
		fill(&b.TTSSecond, p.Descriptor().ID)
	}
	fill(&b.Transport, namespace(s.Kind))
	taps, edges := s.Graph.beside(s.Kinds, s.Edges)
	s.Taps, s.Edges = append(slices.Clip(s.Taps), taps...), append(slices.Clip(s.Edges), edges...)
	b.Settings.PlainTTS = s.ttsConfig().Styled()
	if ms := b.Settings.NodeBudgetMS; ms > 0 && s.Limits.Event == 0 {
		s.Limits.Event = time.Duration(ms) * time.Millisecond
	}
	b.Settings.StreamingSTT = stt.Capabilities.Partials
	if s.Snapshots == nil {
		s.Snapshots = &LocalSnapshots{}
	}
}

func (s *Settings) ttsConfig() invocation.TTSConfig {
	return invocation.TTSConfig{Voice: s.Voice, Language: s.Language, Rate: s.Rate}
}

func (s *Settings) transportBootstrap() transport.Bootstrap {
	return transport.Bootstrap{
		SessionID:       s.Bootstrap.Session,
		TenantID:        s.Bootstrap.Tenant,
		PipelineVersion: s.Bootstrap.Pipeline,
		Kind:            s.Kind,
		Token:           s.Token,
		Epoch:           s.Bootstrap.Epoch,
		Route:           s.Route,
	}
}

// SnapshotSource holds the control plane's decision sets locally; the session asks it
// before a turn can start and never waits for it.
type SnapshotSource interface {
	Snapshots(at timebase.Instant) session.Snapshots
}

// LocalSnapshots is the publisher of the local runner: every decision set is there,
// fresh, and each look at it has a higher version than the one before.
type LocalSnapshots struct{ version int64 }

// Snapshots gives the next version of everything.
func (l *LocalSnapshots) Snapshots(timebase.Instant) session.Snapshots {
	l.version++
	var s session.Snapshots
	for i := range s.Versions {
		s.Versions[i] = l.version
	}
	return s
}

// Cancel is a cancel of any scope, as the control plane gives it.
type Cancel struct {
	Scope      eventabi.CancelScope
	Turn       eventabi.TurnID
	Node       eventabi.NodeID
	Invocation eventabi.InvocationID
	Reason     string
	Force      bool
	Epoch      eventabi.Epoch
	Key        eventabi.IdempotencyKey
}

// namespace is a transport's kind as the kernel takes it: small letters, digits, hyphens and
// underscores.
func namespace(k transport.Kind) string {
	name := []byte(strings.ToLower(string(k)))
	for i, b := range name {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' {
			name[i] = '_'
		}
	}
	return string(name[:min(len(name), maxNamespace)])
}

// maxNamespace is the longest kind of a transport that the kernel takes.
const maxNamespace = 32
