// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
)

// PlanHash returns the SHA-256 of the canonical plan in lower-case hex (turn-plan
// section 3). It does not read p.PlanHash or p.ResolvedTurnPlanID.
func PlanHash(p *ResolvedTurnPlan) string {
	sum := sha256.Sum256(CanonicalPlan(p))
	return hex.EncodeToString(sum[:])
}

// PlanID returns rtp-<turn_id>-<first 16 hex of hash> (turn-plan section 2). A hash
// of fewer than 16 characters is taken whole.
func PlanID(turn eventabi.TurnID, hash string) string {
	return "rtp-" + string(turn) + "-" + hash[:min(16, len(hash))]
}

// PlanTemplate makes sealed plans of one session. They differ in the epoch, in the
// determinism seed, in the snapshots (which the provider plans name as well) and in the
// turn, so all else of the canonical form is written once. A template is for one goroutine.
type PlanTemplate struct {
	base    ResolvedTurnPlan
	parts   [5][]byte // the canonical form between what differs
	scratch []byte    // the part that differs, as it is hashed
	digest  resumable
	prefix  []byte // the state of the digest after what depends on the epoch alone
	epoch   eventabi.Epoch
	sum     [sha256.Size]byte
}

// resumable is a hash that can go on from a state that it was in.
type resumable interface {
	hash.Hash
	AppendBinary(state []byte) ([]byte, error)
	UnmarshalBinary(state []byte) error
}

// NewPlanTemplate makes a template from what all plans have in common. Slices of base
// are shared by all plans and must not be written to any more.
func NewPlanTemplate(base ResolvedTurnPlan) *PlanTemplate { return &PlanTemplate{base: base} }

// Base gives what all plans have in common. It is shared and must not change.
func (t *PlanTemplate) Base() *ResolvedTurnPlan { return &t.base }

// Seal gives the plan of a turn with its hash and its id; after that it must not change.
func (t *PlanTemplate) Seal(turn eventabi.TurnID, epoch eventabi.Epoch, seed int64, snapshots SnapshotProvenance) ResolvedTurnPlan {
	if t.digest == nil {
		t.prepare()
	}
	p := t.base
	p.TurnID, p.AuthorityEpoch, p.SnapshotProvenance = turn, epoch, snapshots
	p.Determinism.Seed = seed
	p.ProviderPlans = slices.Clone(t.base.ProviderPlans)
	for i := range p.ProviderPlans {
		p.ProviderPlans[i].PolicySnapshotRef = snapshots.PolicyResolution
	}
	w := t.resume(epoch)
	w.determinism(&p.Determinism)
	w = t.end(w, 2)
	if len(p.ProviderPlans) > 0 {
		w.providerPlans(p.ProviderPlans)
	}
	w = t.end(w, 3)
	w.provenance(&p.SnapshotProvenance)
	w = t.end(w, 4)
	w.str("turn_id", string(turn))
	w.close()
	t.hash(w.out[1:])
	p.PlanHash = hex.EncodeToString(t.digest.Sum(t.sum[:0]))
	p.ResolvedTurnPlanID = PlanID(turn, p.PlanHash)
	return p
}

// resume hashes everything before the determinism, which differs with the epoch alone:
// the provenance of a whole plan is hashed once in an epoch, not once in a turn.
func (t *PlanTemplate) resume(epoch eventabi.Epoch) writer {
	if len(t.prefix) > 0 && t.epoch == epoch && t.digest.UnmarshalBinary(t.prefix) == nil {
		return writer{out: append(t.scratch[:0], '}')}
	}
	t.digest.Reset()
	w := t.begin(0)
	w.int("authority_epoch", int64(epoch))
	w = t.end(w, 1)
	t.epoch = epoch
	state, err := t.digest.AppendBinary(t.prefix[:0])
	if err != nil {
		state = nil // hash it again the next time
	}
	t.prefix = state
	return w
}

// begin hashes a common part and starts the next one that differs. Its first byte
// stands for what went before, so that the writer sets its comma, and is not hashed.
func (t *PlanTemplate) begin(part int) writer {
	t.hash(t.parts[part])
	return writer{out: append(t.scratch[:0], '}')}
}

// end hashes a part that differs and begins the one after the next common part.
func (t *PlanTemplate) end(w writer, next int) writer {
	t.hash(w.out[1:])
	t.scratch = w.out
	return t.begin(next)
}

func (t *PlanTemplate) hash(b []byte) {
	_, _ = t.digest.Write(b) // a hash never fails
}

// prepare writes the common parts, when the first plan is wanted: an idle session
// holds none. Only they are kept: what differs passes through the hash by parts.
func (t *PlanTemplate) prepare() {
	w := writer{out: make([]byte, 0, 10<<10), marks: make([]int, 0, 9)}
	w.plan(&t.base, false)
	m := w.marks
	t.parts = [5][]byte{w.out[:m[0]], w.out[m[1]:m[2]], w.out[m[3]:m[4]], w.out[m[5]:m[6]], w.out[m[7]:m[8]]}
	t.scratch = make([]byte, 0, 1<<10)
	digest, ok := sha256.New().(resumable)
	if !ok {
		panic("controlplane: the SHA-256 of the standard library cannot be resumed")
	}
	t.digest = digest
}

// Seed returns the determinism seed of a turn: the low 53 bits of the SHA-256 of
// session id, turn id and pipeline version joined by newlines, the digest read as a
// big-endian number (turn-plan section 3). The result is in 0..MaxSeed.
func Seed(session eventabi.SessionID, turn eventabi.TurnID, pipeline eventabi.PipelineVersion) int64 {
	var stack [3*eventabi.MaxIDLength + 2]byte
	b := append(stack[:0], session...)
	b = append(b, '\n')
	b = append(b, turn...)
	b = append(b, '\n')
	b = append(b, pipeline...)
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[len(sum)-8:]) & MaxSeed)
}
