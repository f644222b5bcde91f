// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

func placeChecks() []Check {
	return []Check{{
		"places", "a user's clone has neither one developer's folders nor one network's mirrors", checkPlaces,
	}}
}

// places are what no file may name. They are spelt in pieces, or this file would be the first to break the rule.
func places() *regexp.Regexp {
	folders := []string{
		`(^|[^\w.])/` + `work/\w`,            // a workplace
		`(^|[^\w.])/` + `(root|Users)/[\w.]`, // somebody's home
		`\.\./` + `shared\b`,                 // a neighbour folder of one checkout
		`\.` + `library/`,                    // likewise
		`\bspec/[a-z-]+` + `\.md\b`,          // the specification is cited by name and section
	}
	hosts := []string{
		`proxy\.golang` + `\.org`, `sum\.golang` + `\.org`, `registry\.npmjs` + `\.org`, `pypi` + `\.org`, `files\.pythonhosted` + `\.org`,
		`(deb|ftp|security)\.debian` + `\.org`, `archive\.ubuntu` + `\.com`, `crates` + `\.io`,
	}
	return regexp.MustCompile(strings.Join(append(folders, hosts...), "|"))
}

func checkPlaces(t *Tree) (found []Finding) {
	forbidden := places()
	for _, f := range t.Files {
		number := 0
		for line := range bytes.Lines(f.Text) {
			number++
			if hit := forbidden.Find(line); hit != nil {
				where := fmt.Sprintf("%s:%d", f.Path, number)
				found = append(found, Finding{where, fmt.Sprintf("names %q; name a command, a package or an environment variable instead", bytes.TrimSpace(hit))})
			}
		}
	}
	return found
}
