// SPDX-License-Identifier: Apache-2.0

package eventabi

import (
	"fmt"
	"strconv"
	"strings"
)

// KnownMajor is the major schema version that this build reads and writes.
const KnownMajor = 1

// Version is a parsed schema version.
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads v<major>.<minor> with an optional .<patch>; numbers have no
// leading zeros.
func ParseVersion(s string) (Version, error) {
	rest, ok := strings.CutPrefix(s, "v")
	parts := strings.Split(rest, ".")
	if !ok || len(parts) < 2 || len(parts) > 3 {
		return Version{}, fmt.Errorf("eventabi: schema version %q: want v<major>.<minor> with an optional .<patch>", s)
	}
	var n [3]int
	for i, part := range parts {
		v, err := strconv.Atoi(part)
		if err != nil || strconv.Itoa(v) != part || v < 0 {
			return Version{}, fmt.Errorf("eventabi: schema version %q: %q is not a number without leading zeros", s, part)
		}
		n[i] = v
	}
	return Version{Major: n[0], Minor: n[1], Patch: n[2]}, nil
}

// String writes the version as on the wire; a zero patch is left out.
func (v Version) String() string {
	if v.Patch == 0 {
		return fmt.Sprintf("v%d.%d", v.Major, v.Minor)
	}
	return fmt.Sprintf("v%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// Readable reports whether this build reads artifacts of that version: the same
// major, any minor (event-abi section 10).
func (v Version) Readable() bool { return v.Major == KnownMajor }

// Known reports whether this build knows every field of that version. A readable but
// unknown version may hold additions, which the session's unknown-event action governs.
func (v Version) Known() bool { return v.Major == KnownMajor && v.Minor <= KnownMinor }

// UnknownAction is what a session does with additions of a newer minor version, with
// unknown extension namespaces and with unknown payload types (event-abi section 9).
type UnknownAction string

// The unknown-event actions; drop is the default.
const (
	UnknownDrop        UnknownAction = "drop"
	UnknownPassThrough UnknownAction = "pass_through"
	UnknownReject      UnknownAction = "reject"
)

// CodeSchemaValidation is the code of an artifact that fails validation; the event
// or session request is refused, never silently lost.
const CodeSchemaValidation = "schema_validation_error"
