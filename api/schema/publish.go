// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"embed"
	"fmt"

	"github.com/parley-voice/parley/api/schema/internal/shape"
)

//go:generate go test . -run ^TestPublishedSchemasAreCurrent$ -rewrite

//go:embed *.schema.json
var published embed.FS

// FileName is the name under which the kind's schema is published beside this package.
func (k Kind) FileName() string { return string(k) + ".schema.json" }

// Published returns the JSON Schema (draft 2020-12) of a kind as published with this
// build. The bundle's schema refers to the others by URN.
func Published(kind Kind) ([]byte, error) {
	data, err := published.ReadFile(kind.FileName())
	if err != nil {
		return nil, fmt.Errorf("schema: no schema is published for kind %q; use one of %v: %w", kind, PublishedKinds(), err)
	}
	return data, nil
}

// Generate writes the JSON Schema of a kind from the tables. A test holds the
// published files to it; go generate rewrites them.
func Generate(kind Kind) ([]byte, error) {
	s := shapeOf(kind)
	if s == nil {
		return nil, fmt.Errorf("schema: kind %q is unknown; use one of %v", kind, PublishedKinds())
	}
	return shape.Schema(s, kind.URN(), kind.title())
}

// BeyondSchema lists the codes of faults that JSON Schema cannot express: relations
// between values, repeated keys, limits of this reader, and content refused only under
// the action reject. A validator that has only the schema does not see them.
func BeyondSchema() []string {
	return []string{
		shape.CodeDuplicateKey, CodeSeqRangeOrder, CodeTimestampMismatch,
		CodeCanonicalOrder, CodeWatermarkOrder, CodeHandoffIdle, CodePlanHashMismatch, CodePlanIDMismatch,
		CodeTooLarge, CodeTooDeep, CodeTooManyValues,
		CodeUnknownAddition, CodeUnknownExtension, CodeUnknownPayloadType,
	}
}
