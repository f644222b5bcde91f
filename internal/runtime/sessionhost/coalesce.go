// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
)

// coalescing is how an input that waits meets one that comes.
type coalescing uint8

const (
	goesOn   coalescing = iota // they are about different things: look at those before
	differs                    // about the same thing, and both must be known
	said                       // the one that waits says all that the new one does
	outdated                   // the new one says all that the one that waits does
)

// coalesce compares an input that waits, the newest first, with one that finds its bound
// reached (flow section 4: idempotent duplicates). What is compared is what it does: a
// cancel that comes again under another key stops nothing more. A state is what was said of
// it last, so only the last word about it is compared, and an older one may go for it.
func coalesce(old, in session.Input) coalescing {
	switch in := in.(type) {
	case *session.Cancel:
		if in.Scope == eventabi.CancelTurn && in.Turn == "" && opens(old) { // the current turn may be another one by now
			return differs
		}
		return repeated(old, func(o *session.Cancel) bool {
			return o.Scope == in.Scope && o.Turn == in.Turn && o.Node == in.Node && o.Invocation == in.Invocation &&
				o.Epoch == in.Epoch && (o.Force || !in.Force) && (in.Fenced == 0 || in.Fenced == o.Fenced)
		})
	case *session.Stop:
		if opens(old) {
			return differs
		}
		return repeated(old, func(o *session.Stop) bool {
			return o.Turn == in.Turn && o.Epoch == in.Epoch && (o.Force || !in.Force) && (in.Fenced == 0 || in.Fenced == o.Fenced)
		})
	case *session.CloseRequest:
		return repeated(old, func(*session.CloseRequest) bool { return true }) // the first reason is the reason
	case *session.RuntimeFault:
		return repeated(old, func(*session.RuntimeFault) bool { return true })
	case *session.NodeFailed:
		return repeated(old, func(o *session.NodeFailed) bool { return *o == *in })
	case *session.CancelAck:
		return repeated(old, func(o *session.CancelAck) bool { return *o == *in })
	case *session.Link, *session.LeaseChange, *session.Muted, *session.Load, *session.Snapshots:
		return sameState(old, in)
	case *session.NodeSpent:
		return lastWord(old, func(o *session.NodeSpent) coalescing {
			if o.Node != in.Node || o.Turn != in.Turn {
				return goesOn
			}
			return outdated
		})
	case *session.EndOfUtterance:
		return sameSpeech(old, in)
	case *session.Ready:
		return lastWord(old, func(o *session.Ready) coalescing {
			if o.To != in.To {
				return goesOn
			}
			in.Count += o.Count // one that asks for both
			return outdated
		})
	case *session.Progress:
		return repeated(old, func(o *session.Progress) bool { return *o == *in })
	case *session.Transcript:
		return lastWord(old, func(o *session.Transcript) coalescing { return newerWords(o, in) })
	case *session.VoiceOn, *session.VoiceOff, *session.AudioIn, *session.AudioGap, *session.TextIn, *session.Segment, *session.Speech,
		*session.InvocationEnd, *session.Offer, *session.Bootstrap, *session.Quota, *session.Usage,
		*session.Admission, *session.EdgePolicy, *session.FlowPolicy, *session.Overflow, *session.Appended,
		*session.EvidenceLost, *session.ClockReading, *session.Delivery, *session.Wake, *session.NodePolicy, *session.Unscheduled,
		*session.ToolCalled, *session.ToolResult, *session.TransportControl, *session.Context, *session.Forget, *session.Respond, *session.Wishes,
		*session.GraphNode, *session.GraphEdge, *session.NodeOutput, *session.NodeDone:
		// each of them counts
	}
	return differs
}

// sameState meets a state with what was said of it last.
func sameState(old, in session.Input) coalescing {
	switch in := in.(type) { //nolint:gochecksumtype // the others are no states
	case *session.Link:
		return lastWord(old, func(o *session.Link) coalescing { return sameOr(*o == *in, differs) })
	case *session.LeaseChange:
		return lastWord(old, func(o *session.LeaseChange) coalescing { return sameOr(*o == *in, differs) })
	case *session.Muted:
		return lastWord(old, func(o *session.Muted) coalescing { return sameOr(o.On == in.On && o.Epoch == in.Epoch, outdated) })
	case *session.Load:
		return lastWord(old, func(o *session.Load) coalescing { return sameOr(*o == *in, outdated) })
	case *session.Snapshots:
		return lastWord(old, func(*session.Snapshots) coalescing { return outdated })
	}
	return differs
}

// newerWords meets the words of an utterance with later ones: each interim transcript replaces
// the one before.
func newerWords(old, in *session.Transcript) coalescing {
	switch {
	case old.Invocation != in.Invocation:
		return goesOn
	case old.Final || in.Final:
		return differs
	}
	return outdated
}

// opens says that an input can open a turn.
func opens(in session.Input) bool {
	switch in := in.(type) { //nolint:gochecksumtype // the others open none
	case *session.TextIn, *session.EndOfUtterance, *session.VoiceOn, *session.Respond, *session.Muted:
		return true
	case *session.Transcript:
		return in.Final
	}
	return false
}

// repeated looks for an input of the same type that does the same, however long ago it came.
func repeated[T any](old session.Input, same func(o T) bool) coalescing {
	if o, ok := old.(T); ok && same(o) {
		return said
	}
	return goesOn
}

// lastWord looks at the last input of the same type.
func lastWord[T any](old session.Input, meet func(o T) coalescing) coalescing {
	if o, ok := old.(T); ok {
		return meet(o)
	}
	return goesOn
}

func sameOr(same bool, otherwise coalescing) coalescing {
	if same {
		return said
	}
	return otherwise
}

// sameSpeech meets an end of utterance with what was said of speech before it: ended twice
// without a word between is ended once.
func sameSpeech(old session.Input, in *session.EndOfUtterance) coalescing {
	switch o := old.(type) { //nolint:gochecksumtype // the others are not about speech
	case *session.EndOfUtterance:
		return sameOr(o.Reason == in.Reason && o.Epoch == in.Epoch, differs)
	case *session.VoiceOn, *session.VoiceOff:
		return differs
	}
	return goesOn
}
