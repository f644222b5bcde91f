// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"context"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/page"
)

// What the page loads is in the binary: every file that another names.
func TestFilesAreWhole(t *testing.T) {
	named := regexp.MustCompile(`(?:from|import|src=|href=|new URL\()\s*"(\.?/?[\w./-]+\.(?:js|css|svg))"`)
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		text, err := fs.ReadFile(page.Files(), name)
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %v", name, err)
			return
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			visit(path.Join(path.Dir(name), m[1]))
		}
	}
	visit("index.html")
	for _, name := range []string{"main.js", "ear.js", "client/browser.js", "client/playback.js", "page.css", "icon.svg"} {
		if !seen[name] {
			t.Errorf("nothing leads to %s", name)
		}
	}
}

// The policy holds: no script, style or handler stands in the document, nothing is made of
// text, and nothing comes from elsewhere.
func TestNothingInline(t *testing.T) {
	html, err := fs.ReadFile(page.Files(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`<style`, ` style=`, ` on[a-z]+=`, `<script(?: type="module")?>`, `https?://`} {
		if m := regexp.MustCompile(bad).Find(html); m != nil {
			t.Errorf("index.html has %q", m)
		}
	}
	scripts, err := filepath.Glob("app/*.js")
	if err != nil || len(scripts) == 0 {
		t.Fatal(err)
	}
	for _, name := range scripts {
		text, err := fs.ReadFile(page.Files(), filepath.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage|sessionStorage`).Find(text); m != nil {
			t.Errorf("%s has %q", name, m)
		}
		if !strings.HasPrefix(string(text), "// SPDX-License-Identifier: Apache-2.0\n") {
			t.Errorf("%s has no licence", name)
		}
	}
	if strings.Contains(page.Policy, "unsafe") {
		t.Error(page.Policy)
	}
}

// Everything that a label, a description or a script names by id is in the document, once.
func TestIDs(t *testing.T) {
	html, err := fs.ReadFile(page.Files(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllSubmatch(html, -1) {
		ids[string(m[1])]++
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	wanted := regexp.MustCompile(`(?:for|aria-labelledby|aria-describedby)="([^"]+)"|href="#([^"]+)"`).FindAllSubmatch(html, -1)
	for _, name := range []string{"main.js", "view.js", "lists.js"} {
		text, err := fs.ReadFile(page.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		wanted = append(wanted, regexp.MustCompile(`byId\("([^"]+)"()\)`).FindAllSubmatch(text, -1)...)
	}
	for _, m := range wanted {
		if id := string(m[1]) + string(m[2]); ids[id] == 0 {
			t.Errorf("%s is not there", id)
		}
	}
}

// What the page makes of a session's events is tried without a browser.
func TestConversation(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skipf("no node: %v: install Node 20 or later (TestFilesAreWhole needs none)", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	out, err := exec.CommandContext(ctx, node, "--no-warnings", "--test", "testdata/conversation.test.mjs").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
