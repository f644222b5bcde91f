// SPDX-License-Identifier: Apache-2.0

package noisegate

import (
	"errors"
	"fmt"
	"math"

	"github.com/parley-voice/parley/node"
)

// Type is the node_type.
const Type = "noise_gate"

// Config is what a spec says below config.
type Config struct {
	OpenDB  float64 `json:"open_db"`
	CloseDB float64 `json:"close_db"`
	HoldMS  int     `json:"hold_ms"`
	FloorDB float64 `json:"floor_db"`
}

// Defaults are the values that stand without a config.
func Defaults() Config { return Config{OpenDB: -45, CloseDB: -50, HoldMS: 200, FloorDB: -40} }

// The bounds of a config.
const (
	lowest  = -96.0 // dBFS: what 16 bit can hold
	maxHold = 10_000
)

// Validate reports every value that is out of its range.
func (c *Config) Validate() error {
	var faults []error
	want := func(ok bool, field string, value any, remedy string) {
		if !ok {
			faults = append(faults, fmt.Errorf("config.%s: %v: %s", field, value, remedy))
		}
	}
	within := func(v float64) bool { return v >= lowest && v <= 0 }
	want(within(c.OpenDB), "open_db", c.OpenDB, "give dBFS from -96 to 0")
	want(within(c.CloseDB), "close_db", c.CloseDB, "give dBFS from -96 to 0")
	want(c.CloseDB <= c.OpenDB, "close_db", c.CloseDB, "give at most open_db, or the gate flutters")
	want(c.HoldMS >= 0 && c.HoldMS <= maxHold, "hold_ms", c.HoldMS, "give 0 to 10000")
	want(within(c.FloorDB), "floor_db", c.FloorDB, "give dB from -96 to 0")
	return errors.Join(faults...)
}

// Kind makes noise gates.
func Kind() node.Kind {
	return node.KindOf(Defaults(), func(c Config) (node.Node, error) {
		g := &gate{
			open: power(c.OpenDB), shut: power(c.CloseDB), floor: math.Pow(10, c.FloorDB/20),
			hold: c.HoldMS * node.SampleRate / 1000,
		}
		g.gain = g.floor
		return node.Sound(node.Declaration{Type: Type, Package: "node/noisegate", Inline: true}, g.frame), nil
	})
}

// power is the mean square of a loudness.
func power(db float64) float64 {
	const full = math.MaxInt16
	level := full * math.Pow(10, db/20)
	return level * level
}

// gate is one node's.
type gate struct {
	open, shut, floor float64
	hold              int     // samples
	left              int     // samples until it closes
	gain              float64 // of the last sample
}

// ramp is how many samples the gain takes from one end to the other: 5 ms, so that nothing
// clicks.
const ramp = node.SampleRate / 200

func (g *gate) frame(_ *node.Context, pcm []int16) error {
	if len(pcm) == 0 {
		return nil
	}
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	loud := sum / float64(len(pcm))
	switch {
	case loud >= g.open, g.left > 0 && loud >= g.shut:
		g.left = g.hold + 1 // open at least for this frame
	case g.left > 0:
		g.left = max(0, g.left-len(pcm))
	}
	to := g.floor
	if g.left > 0 {
		to = 1
	}
	if g.gain == 1 && to == 1 {
		return nil
	}
	step := (1 - g.floor) / ramp
	for i, v := range pcm {
		if g.gain < to {
			g.gain = min(to, g.gain+step)
		} else {
			g.gain = max(to, g.gain-step)
		}
		pcm[i] = int16(float64(v) * g.gain)
	}
	return nil
}
