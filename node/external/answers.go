// SPDX-License-Identifier: Apache-2.0

package external

import (
	"fmt"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
)

// message handles what the other half says.
func (i *instance) message(m *protocol.Message) error {
	switch m.Type {
	case protocol.TypeEmit:
		var ev node.Event
		if err := m.Event.ToEvent(&ev); err != nil {
			return err
		}
		return i.deliver(&ev, m.Seq)
	case protocol.TypeDone:
		if m.Error != nil { // ahead of who waits for done
			i.fail(i.told(m.Error.Code, m.Error.Message))
		}
		return i.done(m.Seq, m.TookUS)
	case protocol.TypeFailed:
		i.fail(i.told(m.Code, m.Message))
		i.stopped(true)
	case protocol.TypeOpened:
		return i.opened(m)
	case protocol.TypeCredit:
		return i.setWindow("credit.credits", m.Credits)
	case protocol.TypeBargedIn, protocol.TypeCancelled, protocol.TypeBudgeted:
		return i.obeyed(m.Type)
	case protocol.TypeStopped:
		i.stopped(false)
	case protocol.TypeTelemetry:
		i.count(m.Name, m.N)
	case protocol.TypeWake:
		at := node.Never
		if m.At != nil {
			at = node.Instant(*m.At)
		}
		if i.well() {
			i.context.Timebase.WakeAt(at)
		}
	case protocol.TypeStateGet, protocol.TypeStatePut, protocol.TypeConversation:
		return i.process.answer(i.reply(m))
	default:
		i.program.unknown.Add(1)
	}
	return nil
}

// told is an error as the child says it, in bounds.
func (i *instance) told(code, message string) error {
	if code == "" {
		code = protocol.CodeNode
	}
	return i.program.fault(code[:min(len(code), 64)], "%.1000s", message)
}

func (i *instance) well() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fault == nil && (i.stage == stageOpen || i.stage == stageOpening)
}

func (i *instance) opened(m *protocol.Message) error {
	if m.Credits == 0 {
		m.Credits = protocol.DefaultCredits
	}
	if err := i.setWindow("opened.credits", m.Credits); err != nil {
		return err
	}
	i.mu.Lock()
	if i.stage == stageOpening {
		i.stage = stageOpen
	}
	i.mu.Unlock()
	return i.obeyed(protocol.TypeOpened)
}

func (i *instance) setWindow(field string, credits int) error {
	if credits < 1 || credits > protocol.MaxCredits {
		return &protocol.Violation{Field: field, Value: credits, Remedy: fmt.Sprintf("grant 1 to %d", protocol.MaxCredits)}
	}
	i.mu.Lock()
	i.window = credits
	i.mu.Unlock()
	i.wake()
	return nil
}

// obeyed takes the answer that is wanted. One that comes when its time is over has no meaning.
func (i *instance) obeyed(answer string) error {
	i.mu.Lock()
	if i.wanted == answer {
		i.wanted, i.until = "", 0
		if answer == protocol.TypeBargedIn || answer == protocol.TypeCancelled {
			i.lateTo = i.sent
			i.muted = false
		}
	}
	i.mu.Unlock()
	i.wake()
	return nil
}

// stopped lets the instance go; one that says that it has failed may still answer its stop.
func (i *instance) stopped(failed bool) {
	i.mu.Lock()
	i.wanted, i.until = "", 0
	asked := i.stage == stageLeaving
	i.mu.Unlock()
	i.wake()
	if !asked && !failed {
		i.fail(i.program.fault(protocol.CodeNode, "the node has stopped, and nobody asked it to"))
	}
	i.process.forget(i)
	i.free()
}

// The names of a child's telemetry are its own; so many of them are taken.
const (
	maxNames = 64
	maxName  = 64
)

// count passes a count on.
func (i *instance) count(name string, n int64) {
	names := i.process.names
	if name == "" || len(name) > maxName || !names[name] && len(names) >= maxNames {
		i.program.strange.Add(1)
		return
	}
	names[name] = true
	i.context.Telemetry.Count(name, n)
}

// reply answers what a child asks. It runs where the child is read.
func (i *instance) reply(m *protocol.Message) *protocol.Message {
	r := &protocol.Message{ID: m.ID}
	switch m.Type {
	case protocol.TypeStateGet:
		r.Value, r.Found = i.context.State.Get(m.Class, m.Key)
	case protocol.TypeStatePut:
		if err := i.context.State.Put(m.Class, m.Key, m.Value); err != nil {
			r.Error = &protocol.Error{Code: protocol.CodeNode, Message: err.Error()}
		}
	case protocol.TypeConversation:
		for _, item := range i.context.State.Conversation() {
			r.Messages = append(r.Messages, protocol.Item{
				Role: item.Role, Text: item.Text, Interrupted: item.Interrupted, Call: item.Call, Name: item.Name, Failed: item.Failed,
			})
		}
	}
	return r
}
