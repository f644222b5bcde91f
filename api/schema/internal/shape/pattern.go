// SPDX-License-Identifier: Apache-2.0

package shape

import (
	"slices"
	"strings"
)

// Pattern is a form of strings, as a regular expression for the schema and as a
// function for the checker. The two are held together by a test.
type Pattern uint8

// The forms of the contract.
const (
	NoPattern Pattern = iota
	// ID is an opaque identifier (authority-state section 5).
	ID
	// Version is any schema version, VersionMajor1 one that this build reads,
	// VersionNewer one of those that may hold unknown additions, Version10 a v1.0.
	Version
	VersionMajor1
	VersionNewer
	Version10
	// Hex64 is a SHA-256 in hexadecimal digits of either case.
	Hex64
	// Namespace is a reverse-dotted namespace; TransportNamespace one of transports.
	Namespace
	TransportNamespace
	// RuleVersion is N.N or N.N.N with an optional v.
	RuleVersion
	// SnapshotRef is <kind>/<version>.
	SnapshotRef
	// Provenance is a layer of default_provenance.
	Provenance
	// PlanID is rtp-<turn_id>-<16 hex>.
	PlanID
	// PathName is what can stand between the dots of a field path.
	PathName
	// GraphName is the name of a node or an edge of a graph; a colon stands behind each module
	// that holds it. TypeName names a type, ModuleRef a module and its version.
	GraphName
	TypeName
	ModuleRef
	// NonEmpty is any text of at least one character; it serves as a form of names.
	NonEmpty
)

// Patterns lists every form.
func Patterns() []Pattern {
	return []Pattern{
		ID, Version, VersionMajor1, VersionNewer, Version10, Hex64, Namespace, TransportNamespace,
		RuleVersion, SnapshotRef, Provenance, PlanID, PathName, GraphName, TypeName,
		ModuleRef, NonEmpty,
	}
}

const num = `(0|[1-9][0-9]*)`

// Regexp is the form as a regular expression in the common subset of ECMA-262 and
// RE2, anchored where the form is.
func (p Pattern) Regexp() string {
	switch p {
	case ID:
		return `^[A-Za-z0-9._:-]{1,128}$`
	case Version:
		return `^v` + num + `\.` + num + `(\.` + num + `)?$`
	case VersionMajor1:
		return `^v1\.` + num + `(\.` + num + `)?$`
	case VersionNewer:
		return `^v1\.([2-9]|[1-9][0-9]+)(\.` + num + `)?$`
	case Version10:
		return `^v1\.0(\.` + num + `)?$`
	case Hex64:
		return `^[0-9A-Fa-f]{64}$`
	case Namespace:
		return `^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$`
	case TransportNamespace:
		return `^transport\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`
	case RuleVersion:
		return `^v?[0-9]+\.[0-9]+(\.[0-9]+)?$`
	case SnapshotRef:
		return `^[A-Za-z0-9._:-]+/[A-Za-z0-9._:-]+$`
	case Provenance:
		return `^(execution_profile/[A-Za-z0-9._:/-]+|pipeline_spec|environment|tenant|session|fallback/[A-Za-z0-9._:-]+)$`
	case PlanID:
		return `^rtp-[A-Za-z0-9._:-]{1,128}-[0-9A-Fa-f]{16}$`
	case PathName:
		return `^[A-Za-z0-9_-]{1,128}$`
	case GraphName:
		return `^[A-Za-z0-9_:-]{1,128}$`
	case TypeName:
		return `^[a-z][a-z0-9_]{0,63}$`
	case ModuleRef:
		return `^[A-Za-z0-9_-]{1,64}@[A-Za-z0-9._-]{1,64}$`
	case NonEmpty:
		return `[\s\S]`
	case NoPattern:
	}
	return ""
}

// Doc is the form in words.
func (p Pattern) Doc() string {
	switch p {
	case ID:
		return "1 to 128 characters of A-Z a-z 0-9 . _ : -"
	case Version:
		return "v<major>.<minor> with an optional .<patch>"
	case VersionMajor1:
		return "v1.<minor> with an optional .<patch>"
	case VersionNewer:
		return "v1.2 or a later v1"
	case Version10:
		return "v1.0"
	case Hex64:
		return "64 hexadecimal digits"
	case Namespace:
		return "a dotted namespace such as transport.telephony"
	case TransportNamespace:
		return "transport.<kind>"
	case RuleVersion:
		return "N.N or N.N.N with an optional v"
	case SnapshotRef:
		return "<kind>/<version>"
	case Provenance:
		return "execution_profile/<profile>, pipeline_spec, environment, tenant, session or fallback/<service>"
	case PlanID:
		return "rtp-<turn_id>-<first 16 hex of plan_hash>"
	case PathName:
		return "1 to 128 characters of A-Z a-z 0-9 _ -"
	case GraphName:
		return "1 to 128 characters of A-Z a-z 0-9 _ - and, behind a module's name, :"
	case TypeName:
		return "a name in lower_snake_case"
	case ModuleRef:
		return "<module>@<version>"
	case NonEmpty:
		return "a non-empty text"
	case NoPattern:
	}
	return "any text"
}

// Match reports whether s has the form.
func (p Pattern) Match(s string) bool {
	switch p {
	case ID:
		return len(s) <= 128 && all(s, isIDChar)
	case Version:
		return numbers(strings.CutPrefix(s, "v"))
	case VersionMajor1:
		return Version.Match(s) && strings.HasPrefix(s, "v1.")
	case VersionNewer:
		return VersionMajor1.Match(s) && !minorIs(s, "0") && !minorIs(s, "1")
	case Version10:
		return Version.Match(s) && minorIs(s, "0")
	case Hex64:
		return len(s) == 64 && all(s, isHex)
	case Namespace:
		parts := strings.Split(s, ".")
		return len(parts) > 1 && !slices.ContainsFunc(parts, func(t string) bool { return !all(t, isNameChar) })
	case TransportNamespace:
		return Namespace.Match(s) && strings.HasPrefix(s, "transport.")
	case RuleVersion:
		parts := strings.Split(strings.TrimPrefix(s, "v"), ".")
		return (len(parts) == 2 || len(parts) == 3) &&
			!slices.ContainsFunc(parts, func(t string) bool { return !all(t, isDigit) })
	case SnapshotRef:
		kind, version, ok := strings.Cut(s, "/")
		return ok && all(kind, isIDChar) && all(version, isIDChar)
	case Provenance:
		return matchProvenance(s)
	case PlanID:
		rest, ok := strings.CutPrefix(s, "rtp-")
		cut := len(rest) - 17
		return ok && cut >= 1 && cut <= 128 && rest[cut] == '-' && all(rest[:cut], isIDChar) && all(rest[cut+1:], isHex)
	case PathName:
		return len(s) <= 128 && all(s, isNameChar)
	case GraphName:
		return len(s) <= 128 && all(s, func(c byte) bool { return c == ':' || isNameChar(c) })
	case TypeName:
		return len(s) <= 64 && all(s, isSnake) && s[0] >= 'a'
	case ModuleRef:
		name, version, ok := strings.Cut(s, "@")
		return ok && len(name) <= 64 && len(version) <= 64 && all(name, isNameChar) &&
			all(version, func(c byte) bool { return c == '.' || isNameChar(c) })
	case NonEmpty:
		return s != ""
	case NoPattern:
	}
	return true
}

func matchProvenance(s string) bool {
	switch s {
	case "pipeline_spec", "environment", "tenant", "session":
		return true
	}
	if profile, ok := strings.CutPrefix(s, "execution_profile/"); ok {
		return all(profile, func(c byte) bool { return c == '/' || isIDChar(c) })
	}
	service, ok := strings.CutPrefix(s, "fallback/")
	return ok && all(service, isIDChar)
}

// numbers reports whether s is two or three decimal numbers without leading zeros.
func numbers(s string, ok bool) bool {
	parts := strings.Split(s, ".")
	return ok && (len(parts) == 2 || len(parts) == 3) && !slices.ContainsFunc(parts, func(t string) bool {
		return !all(t, isDigit) || len(t) > 1 && t[0] == '0'
	})
}

func minorIs(version, minor string) bool {
	rest, ok := strings.CutPrefix(version, "v1."+minor)
	return ok && (rest == "" || rest[0] == '.')
}

// all reports whether s is non-empty and every byte of it satisfies ok.
func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isSnake(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'z' || c == '_' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func isAlnum(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isNameChar(c byte) bool { return isAlnum(c) || c == '_' || c == '-' }

func isIDChar(c byte) bool { return isNameChar(c) || c == '.' || c == ':' }
