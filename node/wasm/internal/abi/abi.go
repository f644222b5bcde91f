// SPDX-License-Identifier: Apache-2.0

package abi

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// Version is the version of the interface.
const Version = 1

// Module is what the guest imports the host's functions from.
const Module = "parley"

// Limits of both sides.
const (
	MaxEvent       = 1 << 20  // bytes of one event
	MaxSettings    = 64 << 10 // bytes of JSON
	MaxDeclaration = 64 << 10
	MaxKey         = 256 // bytes of a key of the state, or of a counter's name
	MaxValue       = 256 << 10
	MaxLine        = 400 // bytes that are kept of a line of the log
	maxName        = 128 // bytes of a type, an identity, or an attribute's name
	maxAttribute   = 4 << 10
)

// HeaderSize is the size of an event's fixed part. The samples follow it, so they are
// aligned wherever the event is.
const HeaderSize = 64

// The flags of an event.
const (
	FlagFinal     = 1
	FlagProtected = 2
	FlagCancelled = 4 // towards the guest: its scope is over
	FlagSync      = 8
)

// Settings is what parley_declare and parley_init are given, as JSON.
type Settings struct {
	Session  eventabi.SessionID `json:"session,omitempty"` // of parley_init alone
	Turn     eventabi.TurnID    `json:"turn,omitempty"`
	Node     eventabi.NodeID    `json:"node,omitempty"`
	Seed     int64              `json:"seed,omitempty"`
	Settings json.RawMessage    `json:"settings,omitempty"`
}

// Declaration is node.Declaration as JSON.
type Declaration struct {
	Type         string              `json:"node_type"`
	Package      string              `json:"package"`
	Version      string              `json:"version"`
	Inputs       []node.Type         `json:"inputs"`
	Outputs      []node.Type         `json:"outputs"`
	Streaming    node.Streaming      `json:"streaming"`
	Scope        node.ExecutionScope `json:"execution_scope"`
	Class        node.CancelClass    `json:"cancel_class"`
	Mode         node.CancelMode     `json:"cancel_mode,omitempty"`
	CPUUnits     int64               `json:"cpu_units,omitempty"`
	MemoryMB     int64               `json:"memory_mb,omitempty"`
	GPU          bool                `json:"gpu,omitempty"`
	Network      bool                `json:"network,omitempty"`
	State        []node.StateClass   `json:"state,omitempty"`
	BuffersAudio bool                `json:"buffers_audio,omitempty"`
	LongRunning  bool                `json:"long_running,omitempty"`
	Inline       bool                `json:"inline,omitempty"`
}

// Declare turns a node's declaration into what crosses the boundary.
func Declare(d node.Declaration) Declaration {
	return Declaration{
		Type: d.Type, Package: d.Package, Version: d.Version, Inputs: d.Inputs, Outputs: d.Outputs, Streaming: d.Streaming,
		Scope: d.Scope, Class: d.Class, Mode: d.Mode, CPUUnits: d.Resources.CPUUnits, MemoryMB: d.Resources.MemoryMB,
		GPU: d.Resources.GPU, Network: d.Resources.Network, State: d.State, BuffersAudio: d.BuffersAudio, LongRunning: d.LongRunning,
		Inline: d.Inline,
	}
}

// Node turns it back.
func (d *Declaration) Node() node.Declaration {
	return node.Declaration{
		Type: d.Type, Package: d.Package, Version: d.Version, Inputs: d.Inputs, Outputs: d.Outputs, Streaming: d.Streaming,
		Scope: d.Scope, Class: d.Class, Mode: d.Mode,
		Resources: node.Resources{CPUUnits: d.CPUUnits, MemoryMB: d.MemoryMB, GPU: d.GPU, Network: d.Network},
		State:     d.State, BuffersAudio: d.BuffersAudio, LongRunning: d.LongRunning, Inline: d.Inline,
	}
}

func kinds() []eventabi.Kind {
	return []eventabi.Kind{
		"", eventabi.KindAudio, eventabi.KindText, eventabi.KindControl, eventabi.KindMetrics, eventabi.KindDebug, eventabi.KindError,
	}
}

func classes() []eventabi.PayloadClass {
	return []eventabi.PayloadClass{
		"", eventabi.ClassAudioRaw, eventabi.ClassTextRaw, eventabi.ClassPII, eventabi.ClassPHI, eventabi.ClassDerivedSummary, eventabi.ClassMetadata,
	}
}

// states and outcomes have their numbers by position, from 1.
func states() []node.StateClass {
	return []node.StateClass{"", node.StateTurn, node.StateHot, node.StateDurable}
}

func outcomes() []node.BudgetOutcome {
	return []node.BudgetOutcome{"", node.BudgetContinue, node.BudgetDegrade, node.BudgetFallback, node.BudgetTerminate}
}

// StateCode is the number of a state class, 0 when it has none.
func StateCode(c node.StateClass) uint32 { return code(states(), c) }

// StateOf is the class of a number, empty when there is none.
func StateOf(n uint32) node.StateClass { return at(states(), n) }

// OutcomeCode is the number of a budget's outcome.
func OutcomeCode(o node.BudgetOutcome) uint32 { return code(outcomes(), o) }

// OutcomeOf is the outcome of a number.
func OutcomeOf(n uint32) node.BudgetOutcome { return at(outcomes(), n) }

func code[T comparable](list []T, v T) uint32 { return uint32(max(0, slices.Index(list, v))) }

func at[T any](list []T, n uint32) (v T) {
	if int64(n) < int64(len(list)) {
		return list[n]
	}
	return v
}

// Strings turns bytes into the names that are said again and again, without an allocation.
type Strings struct {
	known map[string]string
}

// maxKnown bounds the names that are kept.
const maxKnown = 256

// Intern gives the string of b.
func (s *Strings) Intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if v, ok := s.known[string(b)]; ok {
		return v
	}
	v := string(b)
	if s.known == nil || len(s.known) >= maxKnown {
		s.known = make(map[string]string, 16)
	}
	s.known[v] = v
	return v
}

// Append writes an event behind b.
func Append(b []byte, ev *node.Event, flags uint16) ([]byte, error) {
	size := Size(ev)
	if err := writable(ev, size); err != nil {
		return b, err
	}
	start := len(b)
	if cap(b)-start < size {
		b = append(make([]byte, 0, start+size+size/2), b...)
	}
	b = b[:start+size]
	h := b[start:]
	if ev.Final {
		flags |= FlagFinal
	}
	if ev.Protected {
		flags |= FlagProtected
	}
	var sync node.Sync
	if ev.Sync != nil {
		flags |= FlagSync
		sync = *ev.Sync
	}
	le := binary.LittleEndian
	h[0], h[1] = byte(code(kinds(), ev.Kind)), byte(code(classes(), ev.Class))
	le.PutUint16(h[2:], flags)
	le.PutUint32(h[4:], uint32(len(ev.PCM)))
	le.PutUint32(h[8:], uint32(len(ev.Text)))
	le.PutUint16(h[12:], uint16(len(ev.Type)))
	le.PutUint16(h[14:], uint16(len(ev.Invocation)))
	le.PutUint64(h[16:], uint64(ev.At))
	le.PutUint64(h[24:], uint64(ev.Index))
	le.PutUint64(h[32:], uint64(ev.Sample))
	le.PutUint64(h[40:], uint64(ev.Heard))
	le.PutUint16(h[48:], uint16(len(sync.ID)))
	le.PutUint16(h[50:], uint16(len(sync.Event)))
	le.PutUint16(h[52:], uint16(len(sync.Group)))
	le.PutUint16(h[54:], uint16(len(ev.Attributes)))
	le.PutUint32(h[56:], uint32(size))
	le.PutUint32(h[60:], 0)
	tail(h[HeaderSize:], ev, &sync)
	return b, nil
}

// tail writes what follows the header.
func tail(p []byte, ev *node.Event, sync *node.Sync) {
	le := binary.LittleEndian
	for i, s := range ev.PCM {
		le.PutUint16(p[2*i:], uint16(s))
	}
	p = p[2*len(ev.PCM):]
	for _, s := range [...]string{string(ev.Type), string(ev.Invocation), sync.ID, string(sync.Event), sync.Group} {
		p = p[copy(p, s):]
	}
	for _, a := range ev.Attributes {
		le.PutUint16(p, uint16(len(a.Name)))
		le.PutUint16(p[2:], uint16(len(a.Value)))
		p = p[4:]
		p = p[copy(p, a.Name):]
		p = p[copy(p, a.Value):]
	}
	copy(p, ev.Text)
}

// Size is how many bytes an event takes.
func Size(ev *node.Event) int {
	n := HeaderSize + 2*len(ev.PCM) + len(ev.Type) + len(ev.Invocation) + len(ev.Text)
	if s := ev.Sync; s != nil {
		n += len(s.ID) + len(s.Event) + len(s.Group)
	}
	for _, a := range ev.Attributes {
		n += 4 + len(a.Name) + len(a.Value)
	}
	return n
}

func writable(ev *node.Event, size int) error {
	if size > MaxEvent {
		return fmt.Errorf("an event of %d bytes: at most %d", size, MaxEvent)
	}
	long := len(ev.Type) > maxName || len(ev.Invocation) > maxName
	if s := ev.Sync; s != nil {
		long = long || len(s.ID) > maxName || len(s.Event) > maxName || len(s.Group) > maxName
	}
	for _, a := range ev.Attributes {
		long = long || len(a.Name) > maxName || len(a.Value) > maxAttribute
	}
	if long || len(ev.Attributes) > node.MaxAttributes {
		return fmt.Errorf("an event of type %.40q has a name of more than %d bytes, or more than %d attributes", ev.Type, maxName, node.MaxAttributes)
	}
	return nil
}

// errCut is what is said of an event that ends within something.
var errCut = errors.New("the event is cut off")

// Read reads the event that b is into ev, whose samples and attributes are used again.
func Read(b []byte, ev *node.Event, names *Strings) (flags uint16, err error) {
	if len(b) < HeaderSize {
		return 0, errCut
	}
	if len(b) > MaxEvent {
		return 0, fmt.Errorf("an event of %d bytes: at most %d", len(b), MaxEvent)
	}
	le := binary.LittleEndian
	flags = le.Uint16(b[2:])
	pcm, attributes := ev.PCM[:0], ev.Attributes[:0]
	*ev = node.Event{
		Kind: at(kinds(), uint32(b[0])), Class: at(classes(), uint32(b[1])),
		At: node.Instant(le.Uint64(b[16:])), Index: int64(le.Uint64(b[24:])), Sample: int64(le.Uint64(b[32:])), Heard: int64(le.Uint64(b[40:])),
		Final: flags&FlagFinal != 0, Protected: flags&FlagProtected != 0,
	}
	rest := cutter{b: b[HeaderSize:]}
	samples := rest.cut(2 * int(le.Uint32(b[4:])))
	for i := 0; i+1 < len(samples); i += 2 {
		pcm = append(pcm, int16(le.Uint16(samples[i:])))
	}
	ev.PCM = pcm
	ev.Type = node.Type(names.Intern(rest.name(le.Uint16(b[12:]))))
	ev.Invocation = eventabi.InvocationID(names.Intern(rest.name(le.Uint16(b[14:]))))
	id, event, group := rest.name(le.Uint16(b[48:])), rest.name(le.Uint16(b[50:])), rest.name(le.Uint16(b[52:]))
	if flags&FlagSync != 0 {
		ev.Sync = &node.Sync{ID: string(id), Event: eventabi.EventID(event), Group: string(group)}
	}
	n := int(le.Uint16(b[54:]))
	if n > node.MaxAttributes {
		return flags, fmt.Errorf("%d attributes: at most %d", n, node.MaxAttributes)
	}
	for range n {
		sizes := rest.cut(4)
		if sizes == nil {
			return flags, errCut
		}
		name, value := rest.name(le.Uint16(sizes)), rest.cut(int(le.Uint16(sizes[2:])))
		if len(value) > maxAttribute {
			return flags, fmt.Errorf("an attribute of %d bytes: at most %d", len(value), maxAttribute)
		}
		attributes = append(attributes, node.Attribute{Name: names.Intern(name), Value: string(value)})
	}
	ev.Attributes = attributes
	ev.Text = string(rest.cut(int(le.Uint32(b[8:]))))
	switch {
	case rest.bad:
		return flags, errCut
	case len(rest.b) > 0:
		return flags, fmt.Errorf("%d bytes are left over", len(rest.b))
	case int(le.Uint32(b[56:])) != len(b):
		return flags, fmt.Errorf("the event says %d bytes and has %d", le.Uint32(b[56:]), len(b))
	case ev.Kind == "" || ev.Class == "" || ev.Type == "":
		return flags, errors.New("an event needs a kind, a payload class and a type")
	}
	return flags, nil
}

// cutter takes pieces off the front.
type cutter struct {
	b   []byte
	bad bool
}

func (c *cutter) cut(n int) []byte {
	if c.bad || n < 0 || n > len(c.b) {
		c.bad = true
		return nil
	}
	head := c.b[:n]
	c.b = c.b[n:]
	return head
}

func (c *cutter) name(n uint16) []byte {
	if n > maxName {
		c.bad = true
		return nil
	}
	return c.cut(int(n))
}

// AppendCancel writes a cancel: scope, call and reason, each behind a byte with its length.
func AppendCancel(b []byte, c node.Cancel) []byte {
	for _, s := range [...]string{string(c.Scope), string(c.Invocation), c.Reason} {
		s = s[:min(len(s), 255)]
		b = append(append(b, byte(len(s))), s...)
	}
	return b
}

// ReadCancel reads one.
func ReadCancel(b []byte) (c node.Cancel, err error) {
	rest := cutter{b: b}
	var part [3]string
	for i := range part {
		n := rest.cut(1)
		if n == nil {
			return c, errors.New("the cancel is cut off")
		}
		part[i] = string(rest.cut(int(n[0])))
	}
	if rest.bad || len(rest.b) > 0 {
		return c, errors.New("the cancel is cut off")
	}
	return node.Cancel{Scope: eventabi.CancelScope(part[0]), Invocation: eventabi.InvocationID(part[1]), Reason: part[2]}, nil
}

// Message is node.Message as JSON.
type Message struct {
	Role        string `json:"role"`
	Text        string `json:"text,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"`
	Call        string `json:"call,omitempty"`
	Name        string `json:"name,omitempty"`
	Failed      bool   `json:"failed,omitempty"`
}

// Conversation turns a conversation into what crosses the boundary.
func Conversation(list []node.Message) []Message {
	out := make([]Message, len(list))
	for i, m := range list {
		out[i] = Message(m)
	}
	return out
}
