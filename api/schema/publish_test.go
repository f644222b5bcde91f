// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the published schemas and the sample artifacts")

// F-032: the schemas in the tree are those that the tables give.
func TestPublishedSchemasAreCurrent(t *testing.T) {
	for _, k := range PublishedKinds() {
		want, err := Generate(k)
		if err != nil {
			t.Fatal(err)
		}
		if *rewrite {
			if err := os.WriteFile(k.FileName(), want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := Published(k)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from its tables; run go generate ./api/schema", k.FileName())
		}
	}
}
