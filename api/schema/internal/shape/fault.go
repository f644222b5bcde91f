// SPDX-License-Identifier: Apache-2.0

package shape

// Codes of faults that shapes themselves report. Rules add codes of their own.
const (
	CodeRequired     = "required"
	CodeForbidden    = "forbidden"
	CodeUnknownField = "unknown_field"
	CodeDuplicateKey = "duplicate_key"
	CodeType         = "type"
	CodeEmpty        = "empty"
	CodeEnum         = "enum"
	CodePattern      = "pattern"
	CodeMinimum      = "minimum"
	CodeMaximum      = "maximum"
	CodeConst        = "const"
	CodeMinItems     = "min_items"
	CodeMaxItems     = "max_items"
	CodeUniqueItems  = "unique_items"
	CodeMinMembers   = "min_members"
	CodeOneOf        = "one_of"
	CodeAnyOf        = "any_of"
)

// Fault is one defect of a document.
type Fault struct {
	// Pointer leads to the defect (RFC 6901); for a missing field, to where it belongs.
	Pointer string
	Code    string
	// Message names the field, its value where that may be shown, and the remedy.
	Message string
	// Offset is the byte of the value concerned, or of the object that lacks a field.
	Offset int
}
