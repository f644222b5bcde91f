// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

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

// PlanSealer fills in plan hashes and ids with a buffer that it keeps between calls.
// The zero value is ready. It is for one goroutine.
type PlanSealer struct{ scratch []byte }

// Seal sets p.PlanHash and p.ResolvedTurnPlanID from the rest of p; after that the
// plan must not change.
func (s *PlanSealer) Seal(p *ResolvedTurnPlan) {
	if s.scratch == nil {
		s.scratch = make([]byte, 0, 6<<10) // what a plan of simple/v1 takes, and some room
	}
	s.scratch = AppendCanonicalPlan(s.scratch[:0], p)
	sum := sha256.Sum256(s.scratch)
	p.PlanHash = hex.EncodeToString(sum[:])
	p.ResolvedTurnPlanID = PlanID(p.TurnID, p.PlanHash)
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
