// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// A spec names a sandboxed node by its kind, and is told what the module declares.
func TestSandboxedNodesHaveAKind(t *testing.T) {
	kinds, done, err := nodeKinds("")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := done(); err != nil {
			t.Error(err)
		}
	}()
	kind, err := kinds.Lookup("wasm")
	if err != nil {
		t.Fatal(err)
	}
	const gate = "../examples/wasm/gate/gate.wasm"
	code, err := os.ReadFile(gate)
	if err != nil {
		t.Fatal(err)
	}
	config := json.RawMessage(fmt.Sprintf(`{"module":%q,"sha256":"%x"}`, gate, sha256.Sum256(code)))
	if d, err := kind.Describe(config); err != nil || d.Type != "noise_gate" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := kind.New(config); err != nil {
		t.Error(err)
	}
}
