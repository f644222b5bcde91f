// SPDX-License-Identifier: Apache-2.0

package pagetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Axe gives the source of axe-core, which judges whether everybody can use a page. It is got
// once, at the version that package-lock.json pins; where it cannot be had the test is
// skipped.
func Axe(t *testing.T) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	dir := filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(dir, "package.json")); !ok || err != nil {
		t.Skip("axe-core is found by the sources of this package, and they are not there")
	}
	source := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	text, err := os.ReadFile(source)
	if err == nil {
		return string(text)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skipf("no npm: %v: install Node 20 or later", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), Patience)
	defer stop()
	run := exec.CommandContext(ctx, npm, "ci")
	run.Dir = dir
	if out, err := run.CombinedOutput(); err != nil {
		t.Skipf("axe-core cannot be had: %v\n%s", err, out)
	}
	if text, err = os.ReadFile(source); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Violation is what axe-core finds wrong.
type Violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

func (v Violation) String() string {
	text := fmt.Sprintf("%s (%s): %s", v.ID, v.Impact, v.Help)
	for _, n := range v.Nodes {
		text += "\n  " + n.HTML + "\n    " + n.FailureSummary
	}
	return text
}

// Judge runs axe-core on the page as it stands.
func (b *Browser) Judge(axe string) (list []Violation) {
	b.t.Helper()
	b.Eval(axe+"; void 0", nil)
	b.Eval(`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.map(({ id, impact, help, nodes }) =>
		({ id, impact, help, nodes: nodes.slice(0, 5).map(({ html, failureSummary }) => ({ html, failureSummary })) })))`, &list)
	return list
}
