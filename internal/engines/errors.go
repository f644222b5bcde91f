// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"errors"
	"fmt"
	"strings"
)

// The kinds of failure, for errors.Is.
var (
	ErrMissing = errors.New("speech engines are missing")
	ErrCorrupt = errors.New("speech engines are damaged")
	ErrFormat  = errors.New("speech engines are of another format")
)

const remedy = "run make engines; where it cannot build them, PARLEY_ENGINES_ARCHIVE=FILE make engines takes an archive"

// MissingError says where the engines were looked for in vain.
type MissingError struct {
	Looked []string // folders, in order
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%v: looked in %s: %s", ErrMissing, strings.Join(e.Looked, ", then "), remedy)
}

func (e *MissingError) Unwrap() error { return ErrMissing }

// CorruptError says which file of a set is not what its manifest promises. For the
// manifest itself, Fault alone is set.
type CorruptError struct {
	File      string // path
	Fault     string // what is wrong, in words
	Want, Got string // size or SHA-256, whichever differs; empty when neither does
	Cause     error
}

func (e *CorruptError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %s %s", ErrCorrupt, e.File, e.Fault)
	if e.Want != "" {
		fmt.Fprintf(&b, " (want %s, got %s)", e.Want, e.Got)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	fmt.Fprintf(&b, ": %s", remedy)
	return b.String()
}

func (e *CorruptError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrCorrupt}
	}
	return []error{ErrCorrupt, e.Cause}
}

// FormatError says that a set was made for another version of Parley.
type FormatError struct {
	File      string // the manifest's path
	Want, Got int
}

func (e *FormatError) Error() string {
	if e.Got > e.Want {
		return fmt.Sprintf("%v: %s has format %d and this Parley reads %d: use a newer Parley, or %s", ErrFormat, e.File, e.Got, e.Want, remedy)
	}
	return fmt.Sprintf("%v: %s has format %d and this Parley reads %d: %s", ErrFormat, e.File, e.Got, e.Want, remedy)
}

func (e *FormatError) Unwrap() error { return ErrFormat }
