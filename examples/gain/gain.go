// SPDX-License-Identifier: Apache-2.0

// Package gain is a node that makes sound louder, the caller's ahead of those who listen or the
// agent's behind those who speak.
package gain

import (
	"fmt"
	"math"

	"github.com/parley-voice/parley/node"
)

// Config is what a spec says below config.
type Config struct {
	DB float64 `json:"db"`
}

// Validate says which values do not do.
func (c *Config) Validate() error {
	if c.DB < -40 || c.DB > 40 {
		return fmt.Errorf("config.db: %v: give -40 to 40", c.DB)
	}
	return nil
}

// Kind makes the nodes: register it as "gain".
func Kind() node.Kind {
	return node.KindOf(Config{DB: 6}, func(c Config) (node.Node, error) {
		factor := math.Pow(10, c.DB/20)
		about := node.Declaration{Type: "gain", Package: "examples/gain", Inline: true}
		return node.Sound(about, func(_ *node.Context, pcm []int16) error {
			for i, v := range pcm {
				louder := math.Round(float64(v) * factor)
				pcm[i] = int16(min(max(louder, math.MinInt16), math.MaxInt16))
			}
			return nil
		}), nil
	})
}
