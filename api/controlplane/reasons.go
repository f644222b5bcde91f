// SPDX-License-Identifier: Apache-2.0

package controlplane

// AbortReason is the reason of an abort: a closed list (lifecycle section 6).
type AbortReason string

// The abort reasons.
const (
	AbortCancelled            AbortReason = "cancelled"
	AbortAuthorityLoss        AbortReason = "authority_loss"
	AbortEvidenceUnavailable  AbortReason = "recording_evidence_unavailable"
	AbortNodeFailure          AbortReason = "node_timeout_or_failure"
	AbortProviderFailure      AbortReason = "provider_failure"
	AbortTransportDisconnect  AbortReason = "transport_disconnect_or_stall"
	AbortBudgetExhausted      AbortReason = "budget_exhausted"
	AbortEdgeOverflow         AbortReason = "edge_overflow"
	AbortSyncUnrecoverable    AbortReason = "sync_unrecoverable"
	AbortRuntimeInternalError AbortReason = "runtime_internal_error"
	AbortPolicyTerminated     AbortReason = "policy_terminated"
)

// CancelReason is the cause code of a cancel (lifecycle section 8). The abort that
// follows carries AbortCancelled whatever the cause.
type CancelReason string

// The cancel causes.
const (
	CancelBargeIn       CancelReason = "barge_in"
	CancelTimeout       CancelReason = "timeout"
	CancelUser          CancelReason = "user_cancel"
	CancelProviderError CancelReason = "provider_error"
	CancelAuthorityLoss CancelReason = "authority_loss"
	CancelDisconnect    CancelReason = "disconnect"
	CancelPolicy        CancelReason = "policy"
)

// AuthorityReason is the verdict of an authority check (authority-state section 1).
type AuthorityReason string

// The authority reasons.
const (
	AuthorityAuthorized   AuthorityReason = "authorized"
	AuthorityStaleEpoch   AuthorityReason = "stale_epoch"
	AuthorityEpochAhead   AuthorityReason = "epoch_ahead"
	AuthorityTokenExpired AuthorityReason = "token_expired"
	AuthorityTokenInvalid AuthorityReason = "token_invalid"
	AuthorityDeauthorized AuthorityReason = "deauthorized"
	AuthorityWrongRuntime AuthorityReason = "wrong_runtime"
)

// ShedReason says why the execution pool did not take a piece of work (flow section 7).
type ShedReason string

// The shed reasons of the execution pool.
const (
	ShedPoolSaturated ShedReason = "execution_pool_saturated"
	ShedPoolClosed    ShedReason = "execution_pool_closed"
	ShedNodeLimited   ShedReason = "node_concurrency_limited"
)

// ShedReasons lists them.
func ShedReasons() []ShedReason {
	return []ShedReason{ShedPoolSaturated, ShedPoolClosed, ShedNodeLimited}
}
