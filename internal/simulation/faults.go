// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"fmt"
	"strings"
)

// Fault is a kind of trouble that the world can make (engine section 4).
type Fault uint8

// The kinds of trouble.
const (
	ProviderTimeout      Fault = iota // a call never answers
	ProviderSlowStart                 // the first byte comes about when patience ends
	ProviderStall                     // a stream stops in the middle
	ProviderTruncation                // a stream breaks off with an error
	ProviderDuplicate                 // every result comes twice
	ProviderLate                      // a cancelled call goes on sending
	ProviderOverload                  // rate limited, with a back-off
	ProviderServerError               // 5xx
	ProviderMalformed                 // impossible values
	ProviderWrongOrder                // indexes skip or repeat
	TransportLoss                     // caller audio and playback reports get lost
	TransportReorder                  // playback reports come in the wrong order
	TransportDuplicate                // a client's message is delivered again
	TransportJitter                   // what was sent apart arrives together
	TransportHalfOpen                 // nothing comes from the client, and nobody says so
	TransportReconnect                // the link is lost, gone, resumed
	TransportGap                      // caller audio is missing, concealed or not
	TransportBurst                    // caller audio is held up and then comes at once
	TimeWallStep                      // the instant given to a step goes back
	TimeLateTimer                     // a wake comes late
	TimeDrift                         // the caller's sample clock is off by 500 ppm
	TimeWander                        // its rate changes, within 500 ppm either way
	TimeClockStep                     // the wall clock that is read is set
	WorkerPause                       // nothing runs for a while, then everything at once
	WorkerCrash                       // the shell reports a fault of its own
	WorkerTwoOwners                   // another owner's epochs show up
	WorkerLostRenewal                 // the lease expires
	WorkerRotation                    // the lease is rotated under the session
	StoreRollback                     // a snapshot's version goes back
	StoreStale                        // snapshots are old or missing
	NodeSlow                          // a node uses its budget up, or most of it
	NodeHang                          // a hook passes its limit
	NodePanic                         // a node panics
	NodeGarbage                       // results for calls and turns that do not exist
	DiskFull                          // evidence cannot be kept
	DiskSlow                          // evidence is appended late
	LoadFlood                         // hundreds of inputs in one pass
	LoadAdmissionRace                 // admission closes in the very pass of a proposal
	LoadQuota                         // others have used up what quotas allow
	LoadHeadroom                      // others have used up the headroom before it
	LoadLevels                        // the host's overload level changes
	PoolSaturated                     // the execution pool has no room for a call
	PoolClosed                        // it takes nothing any more
	PoolLimited                       // as many calls of the node are under way as there may be
	ToolLate                          // a tool answers about when patience ends, or long after
	ToolSilent                        // a tool never answers
	ToolTwice                         // a tool answers again
	ToolFailed                        // a tool says that it failed
	LoadControlFull                   // the inbox has no room for control
	LoadDataFull                      // nor for data, and edges get more than they hold
	LoadTelemetryFull                 // nor for telemetry, and its edge gets more than it holds
	LoadBurst                         // many items at once
	LoadSlowReader                    // who reads from edges takes one now and then
	LoadStalledReader                 // or nothing for a while, and then much
	LoadCreditStarvation              // nodes send without a credit
	LoadXOffStorm                     // nodes send although they were told to stop
	LoadSyncLoss                      // a member of a group gets lost
	LoadTenantFlood                   // one key of several that share a reader floods
	WorkHang                          // a node of the graph never answers
	WorkError                         // it returns an error
	WorkPanic                         // it panics, after it has given something
	WorkLate                          // it answers late, and whatever it is told
	WorkFlood                         // it gives very much
	WorkGarbage                       // it gives what nobody asked for
	faultCount
)

func faultNames() [faultCount]string {
	return [faultCount]string{
		"provider_timeout", "provider_slow_start", "provider_stall", "provider_truncation", "provider_duplicate",
		"provider_late", "provider_overload", "provider_server_error", "provider_malformed", "provider_wrong_order",
		"transport_loss", "transport_reorder", "transport_duplicate", "transport_jitter", "transport_half_open",
		"transport_reconnect", "transport_gap", "transport_burst",
		"time_wall_step", "time_late_timer", "time_drift", "time_wander", "time_clock_step",
		"worker_pause", "worker_crash", "worker_two_owners", "worker_lost_renewal", "worker_rotation",
		"store_rollback", "store_stale", "node_slow", "node_hang", "node_panic", "node_garbage",
		"disk_full", "disk_slow", "load_flood", "load_admission_race", "load_quota", "load_headroom", "load_levels",
		"pool_saturated", "pool_closed", "pool_limited", "tool_late", "tool_silent", "tool_twice", "tool_failed", "load_control_full", "load_data_full", "load_telemetry_full", "load_burst", "load_slow_reader", "load_stalled_reader",
		"load_credit_starvation", "load_xoff_storm", "load_sync_loss", "load_tenant_flood",
		"work_hang", "work_error", "work_panic", "work_late", "work_flood", "work_garbage",
	}
}

func (f Fault) String() string { return faultNames()[f] }

// FaultSet is a set of fault kinds.
type FaultSet uint64

// AllFaults is every kind.
const AllFaults FaultSet = 1<<faultCount - 1

// Has says whether a kind is in the set.
func (s FaultSet) Has(f Fault) bool { return s>>f&1 == 1 }

// With gives the set with a kind added.
func (s FaultSet) With(f Fault) FaultSet { return s | 1<<f }

// Without gives the set with a kind taken out.
func (s FaultSet) Without(f Fault) FaultSet { return s &^ (1 << f) }

// String lists the kinds, "all" for every kind and "none" for none.
func (s FaultSet) String() string {
	switch s {
	case AllFaults:
		return "all"
	case 0:
		return "none"
	}
	var names []string
	for f := range faultCount {
		if s.Has(f) {
			names = append(names, f.String())
		}
	}
	return strings.Join(names, ",")
}

// ParseFaults reads what String prints. A name may also be the first part of some, such
// as "provider" for all faults of providers. The error names the word and what there is.
func ParseFaults(list string) (FaultSet, error) {
	var set FaultSet
	for _, word := range strings.Split(list, ",") {
		word = strings.TrimSpace(word)
		switch word {
		case "all":
			set |= AllFaults
			continue
		case "none", "":
			continue
		}
		before := set
		for f := range faultCount {
			if name := f.String(); name == word || strings.HasPrefix(name, word+"_") {
				set = set.With(f)
			}
		}
		if set == before {
			return 0, fmt.Errorf("unknown fault %q; there are %s, their first parts (provider, transport, ...), all and none",
				word, strings.Join(FaultNames(), ", "))
		}
	}
	return set, nil
}

// FaultNames lists every kind.
func FaultNames() []string {
	names := faultNames()
	return names[:]
}
