// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// segment writes one name of a field path. A name that is not plain is quoted, so that
// its dots are its own.
func segment(name string) string {
	plain := name != "" && strings.IndexFunc(name, func(r rune) bool {
		return !(r == '_' || r == '-' || r == ':' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}) < 0
	if plain {
		return name
	}
	return strconv.Quote(name)
}

// join writes a field path.
func join(names ...string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = segment(n)
	}
	return strings.Join(out, ".")
}

// head takes the first name off a path that this package wrote.
func head(path string) (name, rest string) {
	if quoted, err := strconv.QuotedPrefix(path); err == nil && strings.HasPrefix(path, `"`) {
		if name, err = strconv.Unquote(quoted); err == nil {
			return name, strings.TrimPrefix(path[len(quoted):], ".")
		}
	}
	name, rest, _ = strings.Cut(path, ".")
	return name, rest
}

// splitPath takes a field path apart.
func splitPath(path string) ([]string, error) {
	var out []string
	for rest := path; ; {
		name := rest
		switch quoted, err := strconv.QuotedPrefix(rest); {
		case err == nil && strings.HasPrefix(rest, `"`):
			if name, err = strconv.Unquote(quoted); err != nil {
				return nil, fmt.Errorf("%q holds a name that cannot be unquoted: %w", path, err)
			}
			rest = rest[len(quoted):]
		case strings.HasPrefix(rest, `"`):
			return nil, fmt.Errorf("%q holds a quote that does not close", path)
		default:
			if dot := strings.IndexByte(rest, '.'); dot >= 0 {
				name = rest[:dot]
			}
			rest = rest[len(name):]
		}
		if name == "" {
			return nil, errors.New("a name between two dots is empty; write section.name.field")
		}
		if len(out) == maxDepth {
			return nil, fmt.Errorf("%.40q... is deeper than any field", path)
		}
		out = append(out, name)
		if rest == "" {
			return out, nil
		}
		if rest[0] != '.' || rest == "." {
			return nil, fmt.Errorf("%q goes on with %q after a name; want a dot and a name", path, rest)
		}
		rest = rest[1:]
	}
}
