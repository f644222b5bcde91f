// SPDX-License-Identifier: Apache-2.0

// Package shout is a node that makes what is said louder.
package shout

import (
	"strings"

	"github.com/parley-voice/parley/node"
)

// Config is what a spec says below config.
type Config struct {
	Mark string `json:"mark"`
}

// Kind makes the nodes: register it as "shout".
func Kind() node.Kind {
	return node.KindOf(Config{Mark: "!"}, func(c Config) (node.Node, error) {
		about := node.Declaration{Type: "shout", Package: "examples/shout"}
		return node.Text(about, func(_ *node.Context, text string) (string, error) {
			return strings.ToUpper(strings.TrimRight(text, ". ")) + c.Mark + " ", nil
		}), nil
	})
}
