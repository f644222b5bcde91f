// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"os"
	"testing"
)

// TestTree holds this repository to every rule.
func TestTree(t *testing.T) {
	tree, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Packages) == 0 || len(tree.Files) == 0 {
		t.Fatalf("loaded %d packages and %d files: nothing would be checked", len(tree.Packages), len(tree.Files))
	}
	for _, check := range Checks() {
		t.Run(check.Name, func(t *testing.T) {
			for _, f := range check.Run(tree) {
				t.Errorf("%s (because %s)", f, check.Why)
			}
		})
	}
}
