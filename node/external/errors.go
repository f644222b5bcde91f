// SPDX-License-Identifier: Apache-2.0

package external

import (
	"fmt"

	"github.com/parley-voice/parley/node/external/protocol"
)

// Error says how a call of an external node came out.
type Error struct {
	Node   string // name of the package
	Code   string // one of package protocol's
	Detail string
	// Before says that nothing was dispatched: there was no place for it.
	Before bool
}

func (e *Error) Error() string {
	return fmt.Sprintf("external node %s: %s: %s", e.Node, e.Code, e.Detail)
}

// Class is the outcome, one of those that calls of providers have.
func (e *Error) Class() string {
	switch {
	case e.Code == protocol.CodeTimeout:
		return "timeout"
	case e.Code == protocol.CodeCircuit, e.Before:
		return "overload"
	case e.Code == protocol.CodeDeclarationFalse, e.Code == protocol.CodeProtocolVersion:
		return "blocked"
	case e.Code == codeCancelled:
		return "cancelled"
	}
	return "infrastructure_failure"
}

// codeCancelled is no failure of the node: nobody waits for it any more.
const codeCancelled = "cancelled"
