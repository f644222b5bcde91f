// SPDX-License-Identifier: Apache-2.0

package controlplane

// QuotaScope says whose use a quota bounds.
type QuotaScope string

// The scopes of quotas, the widest first (authority-state section 7).
const (
	QuotaOfTenant  QuotaScope = "tenant"
	QuotaOfSession QuotaScope = "session"
	QuotaOfTurn    QuotaScope = "turn"
)

// QuotaLimit names what a quota counts.
type QuotaLimit string

// The limits (authority-state section 7).
const (
	QuotaConcurrentSessions  QuotaLimit = "concurrent_sessions"
	QuotaSessionsPerMinute   QuotaLimit = "sessions_per_minute"
	QuotaTurnsPerMinute      QuotaLimit = "turns_per_minute"
	QuotaTokensPerMinute     QuotaLimit = "tokens_per_minute"
	QuotaAudioSeconds        QuotaLimit = "audio_seconds"
	QuotaTTSCharacters       QuotaLimit = "tts_characters"
	QuotaProviderConcurrency QuotaLimit = "provider_concurrency"
)

// QuotaLimits lists the limits that are counted of a scope: sessions only of a tenant,
// and of a turn only what is known before it opens, the audio of its utterance.
func QuotaLimits(of QuotaScope) []QuotaLimit {
	inside := []QuotaLimit{
		QuotaTurnsPerMinute, QuotaTokensPerMinute, QuotaAudioSeconds, QuotaTTSCharacters, QuotaProviderConcurrency,
	}
	switch of {
	case QuotaOfTenant:
		return append([]QuotaLimit{QuotaConcurrentSessions, QuotaSessionsPerMinute}, inside...)
	case QuotaOfSession:
		return inside
	case QuotaOfTurn:
		return []QuotaLimit{QuotaAudioSeconds}
	}
	return nil
}

// QuotaAction is what happens to who comes when a limit is reached.
type QuotaAction string

// The actions of quotas. A deferral that says when to come again is called a throttle.
const (
	QuotaReject  QuotaAction = "reject"
	QuotaDefer   QuotaAction = "defer"
	QuotaDegrade QuotaAction = "degrade"
)
