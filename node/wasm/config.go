// SPDX-License-Identifier: Apache-2.0

package wasm

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/wasm/internal/abi"
)

// Config is what a spec says of a node of this kind.
type Config struct {
	// Module is the path of the file, SHA256 its checksum in 64 hexadecimal digits.
	Module string `json:"module"`
	SHA256 string `json:"sha256"`
	// Package, where it is given, is what the module must declare.
	Package *Package `json:"package,omitempty"`
	// MemoryMB bounds an instance's memory; 0 = DefaultMemoryMB.
	MemoryMB int `json:"memory_mb,omitempty"`
	// TimeMS bounds one call; 0 = DefaultTimeMS.
	TimeMS int    `json:"time_ms,omitempty"`
	Grants Grants `json:"grants,omitzero"`
	// Settings go to the guest as they are: a JSON object.
	Settings json.RawMessage `json:"settings,omitempty"`
}

// Package is a package with its version.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Grants is what an instance may see of the machine. The zero value is nothing.
type Grants struct {
	// Read are folders that it may read, under the same names.
	Read []string `json:"read,omitempty"`
	// Env are variables with their values. None is taken from the host's own.
	Env map[string]string `json:"env,omitempty"`
}

// The limits where a config names none, and the largest that it may name.
const (
	DefaultMemoryMB = 64
	DefaultTimeMS   = 800
	MaxMemoryMB     = 1024
	MaxTimeMS       = 5000
	maxGrants       = 32
	maxConfig       = 128 << 10 // bytes
)

// parse reads a config and reports all faults at once.
func parse(raw json.RawMessage) (c Config, err error) {
	if len(raw) > maxConfig {
		return c, fmt.Errorf("wasm: config: %d bytes: at most %d", len(raw), maxConfig)
	}
	if raw == nil {
		raw = json.RawMessage("{}")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("wasm: config: %w: its fields are module, sha256, package, memory_mb, time_ms, grants and settings", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c, errors.New("wasm: config: there is more than one object: give one")
	}
	if c.MemoryMB == 0 {
		c.MemoryMB = DefaultMemoryMB
	}
	if c.TimeMS == 0 {
		c.TimeMS = DefaultTimeMS
	}
	return c, c.check()
}

func (c *Config) check() error {
	var faults []error
	want := func(ok bool, field string, value any, remedy string) {
		if !ok {
			faults = append(faults, fmt.Errorf("wasm: %s: %v: %s", field, value, remedy))
		}
	}
	want(c.Module != "", "module", `""`, "give the path of a .wasm file")
	if sum, err := hex.DecodeString(c.SHA256); c.SHA256 != "" && (err != nil || len(sum) != 32) {
		want(false, "sha256", c.SHA256, "give 64 hexadecimal digits, as sha256sum prints them")
	}
	if p := c.Package; p != nil {
		want(p.Name != "", "package.name", `""`, "name the package, or leave package out")
	}
	want(c.MemoryMB > 0 && c.MemoryMB <= MaxMemoryMB, "memory_mb", c.MemoryMB, fmt.Sprintf("use 1 to %d, or 0 for %d", MaxMemoryMB, DefaultMemoryMB))
	want(c.TimeMS > 0 && c.TimeMS <= MaxTimeMS, "time_ms", c.TimeMS, fmt.Sprintf("use 1 to %d, or 0 for %d", MaxTimeMS, DefaultTimeMS))
	want(len(c.Grants.Read) <= maxGrants, "grants.read", len(c.Grants.Read), fmt.Sprintf("at most %d folders", maxGrants))
	want(len(c.Grants.Env) <= maxGrants, "grants.env", len(c.Grants.Env), fmt.Sprintf("at most %d variables", maxGrants))
	for _, dir := range c.Grants.Read {
		info, err := os.Stat(dir)
		want(filepath.IsAbs(dir) && filepath.Clean(dir) == dir, "grants.read", dir, "give a folder's whole path, in its shortest form")
		want(err == nil && info.IsDir(), "grants.read", dir, "give a folder that exists")
	}
	for name, value := range c.Grants.Env {
		want(variable(name), "grants.env", name, "a variable has letters, digits and _")
		want(!bytes.ContainsRune([]byte(value), 0), "grants.env."+name, "a zero byte", "leave it out")
	}
	want(len(c.Settings) <= abi.MaxSettings, "settings", len(c.Settings), fmt.Sprintf("at most %d bytes", abi.MaxSettings))
	want(len(c.Settings) == 0 || bytes.HasPrefix(c.Settings, []byte("{")), "settings", string(c.Settings[:min(len(c.Settings), 40)]), "give an object")
	return errors.Join(faults...)
}

func variable(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return name != "" && len(name) <= 128
}

// limits are the times that the guest's hooks may take. Those that the host of nodes holds to
// less than time_ms are held to it here as well: what it gave up must not go on.
func (c *Config) limits() node.Limits {
	call := time.Duration(c.TimeMS) * time.Millisecond
	return node.Limits{
		Init: node.DefaultInit, Start: node.DefaultStart, Stop: node.DefaultStop, EventHard: call,
		Cancel: min(call, node.DefaultCancel), Budget: min(call, node.DefaultBudget),
	}
}
