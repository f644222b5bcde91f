// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"
	"strconv"

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
	parts   [][]byte // the canonical form between what differs
	scratch []byte   // the part that differs, as it is hashed
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
	t.resume(epoch)
	w := writer{out: strconv.AppendInt(t.scratch[:0], seed, 10)}
	next := seedPart + 1
	w = t.pass(w, next)
	for i := range p.ProviderPlans {
		w.out = appendString(w.out, p.ProviderPlans[i].PolicySnapshotRef)
		next++
		w = t.pass(w, next)
	}
	w.provenance(&p.SnapshotProvenance)
	w = t.pass(w, next+1)
	w.out = appendString(w.out, string(turn))
	t.pass(w, next+2)
	p.PlanHash = hex.EncodeToString(t.digest.Sum(t.sum[:0]))
	p.ResolvedTurnPlanID = PlanID(turn, p.PlanHash)
	return p
}

// seedPart is the common part that ends with the key of the seed: everything before the
// seed differs with the epoch alone.
const seedPart = 1

// resume hashes everything before the seed: the provenance of a whole plan is hashed once
// in an epoch, not once in a turn.
func (t *PlanTemplate) resume(epoch eventabi.Epoch) {
	if len(t.prefix) > 0 && t.epoch == epoch && t.digest.UnmarshalBinary(t.prefix) == nil {
		return
	}
	t.digest.Reset()
	t.hash(t.parts[0])
	t.pass(writer{out: strconv.AppendInt(t.scratch[:0], int64(epoch), 10)}, seedPart)
	t.epoch = epoch
	state, err := t.digest.AppendBinary(t.prefix[:0])
	if err != nil {
		state = nil // hash it again the next time
	}
	t.prefix = state
}

// pass hashes what differs and the common part that follows it, and makes place for what
// differs next.
func (t *PlanTemplate) pass(w writer, next int) writer {
	t.hash(w.out)
	t.hash(t.parts[next])
	t.scratch = w.out[:0]
	return writer{out: t.scratch}
}

func (t *PlanTemplate) hash(b []byte) {
	_, _ = t.digest.Write(b) // a hash never fails
}

// prepare writes the common parts, when the first plan is wanted: an idle session
// holds none. Only they are kept: what differs passes through the hash by parts.
func (t *PlanTemplate) prepare() {
	w := writer{out: make([]byte, 0, 10<<10), marks: make([]int, 0, 8+2*len(t.base.ProviderPlans))}
	w.plan(&t.base, false)
	t.parts = make([][]byte, 0, len(w.marks)/2+1)
	from := 0
	for i := 0; i < len(w.marks); i += 2 {
		t.parts = append(t.parts, w.out[from:w.marks[i]])
		from = w.marks[i+1]
	}
	t.parts = append(t.parts, w.out[from:])
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
