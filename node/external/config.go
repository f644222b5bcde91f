// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
	"github.com/parley-voice/parley/node/external/sandbox"
)

// Config is what a spec says below config.
type Config struct {
	// Package is the path of a manifest. Without one, Command and Declaration say what runs.
	Package     string                `json:"package,omitempty"`
	Pin         *Pin                  `json:"pin,omitempty"`
	Command     string                `json:"command,omitempty"`
	Args        []string              `json:"args,omitempty"` // after those of the package
	Dir         string                `json:"dir,omitempty"`  // default: the package's folder, else that of the command
	Declaration *protocol.Declaration `json:"declaration,omitempty"`
	// Env are NAME, which is taken from the host's environment, or NAME=value.
	Env       []string        `json:"env,omitempty"`
	Limits    LimitsConfig    `json:"limits,omitzero"`
	Isolation IsolationConfig `json:"isolation,omitzero"`
	// Config is the node's own.
	Config json.RawMessage `json:"config,omitempty"`
}

// Pin holds a package to what it was.
type Pin struct {
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256,omitempty"` // of the manifest, which has those of the files
}

// LimitsConfig are the limits; an absent one has its default.
type LimitsConfig struct {
	TimeMS            *int64 `json:"time_ms,omitempty"`            // an event, to its done; 800
	CancelMS          *int64 `json:"cancel_ms,omitempty"`          // the answer to a cancel; 75
	StartMS           *int64 `json:"start_ms,omitempty"`           // from the start of the process to hello; 10000
	WallMS            *int64 `json:"wall_ms,omitempty"`            // an instance's life; 0 = none
	CPUUnits          *int64 `json:"cpu_units,omitempty"`          // of the process, thousandths of a core; 1000
	MemoryMB          *int64 `json:"memory_mb,omitempty"`          // of the process and its descendants; 512
	Tasks             *int64 `json:"tasks,omitempty"`              // processes and threads; 64
	Files             *int64 `json:"files,omitempty"`              // open at a time; 256
	Concurrency       *int64 `json:"concurrency,omitempty"`        // instances in the process; 8
	Queue             *int64 `json:"queue,omitempty"`              // instances that wait for a place; 8
	OutputBytesPerSec *int64 `json:"output_bytes_per_s,omitempty"` // from the process, over a second; 4194304
}

// IsolationConfig is how far the process is held off.
type IsolationConfig struct {
	// Require refuses a level below it: none, process, limited, sandbox. The highest that can be
	// had is applied anyway.
	Require   string   `json:"require,omitempty"`
	Network   bool     `json:"network,omitempty"`
	Processes bool     `json:"processes,omitempty"` // it may start further processes
	Read      []string `json:"read,omitempty"`
	Write     []string `json:"write,omitempty"`
}

// limits are LimitsConfig with defaults.
type limits struct {
	time, cancel, start, wall             time.Duration
	cpu, memory, tasks, files             int64
	concurrency, queue, outputBytesPerSec int64
}

// The bounds that are not authors' to choose.
const (
	stopLimit   = 2 * time.Second        // for stop and shutdown
	budgetLimit = node.DefaultBudget     // for on_budget_exhausted
	hangLimit   = 500 * time.Millisecond // for a ping, and for what has failed to be gone
)

// maxConfigFaults bounds what is told of a bad config.
const maxConfigFaults = 50

// faults collects what is wrong with a config.
type faults struct {
	place string
	list  []error
}

func (f *faults) add(field string, value any, remedy string) {
	if len(f.list) < maxConfigFaults {
		f.list = append(f.list, fmt.Errorf("external node: %s%s: %s: %s", f.place, field, shown(value), remedy))
	}
}

func shown(value any) string {
	if s, ok := value.(string); ok {
		return fmt.Sprintf("%.200q", s)
	}
	return fmt.Sprintf("%.200s", fmt.Sprint(value))
}

func (f *faults) err() error { return errors.Join(f.list...) }

// readConfig reads a config; each fault of a value is told.
func readConfig(raw json.RawMessage) (*Config, limits, error) {
	c := &Config{}
	f := &faults{place: "config."}
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, limits{}, fmt.Errorf("external node: config: %w: use package, pin, command, args, dir, declaration, env, limits, isolation, config", err)
	}
	if (c.Package == "") == (c.Command == "") {
		f.add("package", c.Package, "name the package's manifest, or a command and its declaration; one of both")
	}
	if c.Package != "" && c.Declaration != nil {
		f.add("declaration", c.Declaration.NodeType, "leave it out: the package's manifest has it")
	}
	if c.Package == "" && c.Command != "" && c.Declaration == nil {
		f.add("declaration", "", "say what the command declares of itself, or name a package")
	}
	if c.Package == "" && c.Pin != nil {
		f.add("pin", c.Pin.Version, "a pin holds a package: name one")
	}
	for i, e := range c.Env {
		name, _, given := strings.Cut(e, "=")
		field := fmt.Sprintf("env[%d]", i)
		switch {
		case name == "" || strings.ContainsAny(name, " \t\x00"):
			f.add(field, name, "give NAME, or NAME=value")
		case strings.HasPrefix(name, "PARLEY_NODE_"):
			f.add(field, name, "these are the host's own: use another name")
		case !given:
			if _, there := os.LookupEnv(name); !there {
				f.add(field, name, "is not in the environment of this process: set it, or give NAME=value")
			}
		}
	}
	if c.Config != nil && !bytes.HasPrefix(bytes.TrimSpace(c.Config), []byte("{")) {
		f.add("config", string(c.Config), "give an object")
	}
	if !slices.Contains([]string{"", "none", string(sandbox.LevelProcess), string(sandbox.LevelLimited), string(sandbox.LevelSandbox)}, c.Isolation.Require) {
		f.add("isolation.require", c.Isolation.Require, "use none, process, limited or sandbox")
	}
	for i, list := range [][]string{c.Isolation.Read, c.Isolation.Write} {
		for k, path := range list {
			if !filepath.IsAbs(path) {
				f.add(fmt.Sprintf("isolation.%s[%d]", [...]string{"read", "write"}[i], k), path, "give an absolute path")
			}
		}
	}
	return c, readLimits(&c.Limits, f), f.err()
}

func readLimits(c *LimitsConfig, f *faults) limits {
	pick := func(field string, v *int64, def, least, most int64) int64 {
		if v == nil {
			return def
		}
		if *v < least || *v > most {
			f.add("limits."+field, *v, fmt.Sprintf("use %d to %d", least, most))
		}
		return *v
	}
	ms := func(field string, v *int64, def time.Duration, least, most int64) time.Duration {
		return time.Duration(pick(field, v, int64(def/time.Millisecond), least, most)) * time.Millisecond
	}
	return limits{
		time:              ms("time_ms", c.TimeMS, node.DefaultEvent, 1, int64(node.DefaultEventHard/time.Millisecond)),
		cancel:            ms("cancel_ms", c.CancelMS, node.DefaultCancel, 1, 60_000),
		start:             ms("start_ms", c.StartMS, 10*time.Second, 10, 600_000),
		wall:              ms("wall_ms", c.WallMS, 0, 0, 86_400_000),
		cpu:               pick("cpu_units", c.CPUUnits, 1000, 10, 1_000_000),
		memory:            pick("memory_mb", c.MemoryMB, 512, 16, 1_000_000),
		tasks:             pick("tasks", c.Tasks, 64, 1, 10_000),
		files:             pick("files", c.Files, 256, 16, 100_000),
		concurrency:       pick("concurrency", c.Concurrency, 8, 1, 4096),
		queue:             pick("queue", c.Queue, 8, 0, 4096),
		outputBytesPerSec: pick("output_bytes_per_s", c.OutputBytesPerSec, 4<<20, 1024, 1<<40),
	}
}
