// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"fmt"
	"reflect"

	"github.com/parley-voice/parley/node"
)

// Declaration is a node.Declaration, as a manifest and a hello have it.
type Declaration struct {
	NodeType       string              `json:"node_type" yaml:"node_type"`
	Package        string              `json:"package" yaml:"package"`
	Version        string              `json:"version" yaml:"version"`
	Inputs         []node.Type         `json:"inputs" yaml:"inputs"`
	Outputs        []node.Type         `json:"outputs" yaml:"outputs"`
	Streaming      node.Streaming      `json:"streaming" yaml:"streaming"`
	ExecutionScope node.ExecutionScope `json:"execution_scope" yaml:"execution_scope"`
	CancelClass    node.CancelClass    `json:"cancel_class" yaml:"cancel_class"`
	CancelMode     node.CancelMode     `json:"cancel_mode,omitempty" yaml:"cancel_mode"`
	BuffersAudio   bool                `json:"buffers_audio,omitempty" yaml:"buffers_audio"`
	LongRunning    bool                `json:"long_running,omitempty" yaml:"long_running"`
	State          []node.StateClass   `json:"state,omitempty" yaml:"state"`
	Resources      Resources           `json:"resources" yaml:"resources"`
}

// Resources are node.Resources.
type Resources struct {
	CPUUnits int64 `json:"cpu_units,omitempty" yaml:"cpu_units"`
	MemoryMB int64 `json:"memory_mb,omitempty" yaml:"memory_mb"`
	GPU      bool  `json:"gpu,omitempty" yaml:"gpu"`
	Network  bool  `json:"network,omitempty" yaml:"network"`
}

// Declare gives a declaration as it is told.
func Declare(d node.Declaration) *Declaration {
	return &Declaration{
		NodeType: d.Type, Package: d.Package, Version: d.Version, Inputs: d.Inputs, Outputs: d.Outputs, Streaming: d.Streaming,
		ExecutionScope: d.Scope, CancelClass: d.Class, CancelMode: d.Mode, BuffersAudio: d.BuffersAudio, LongRunning: d.LongRunning,
		State: d.State, Resources: Resources{d.Resources.CPUUnits, d.Resources.MemoryMB, d.Resources.GPU, d.Resources.Network},
	}
}

// Node gives what it declares. Inline is no other process's to promise.
func (d *Declaration) Node() node.Declaration {
	return node.Declaration{
		Type: d.NodeType, Package: d.Package, Version: d.Version, Inputs: d.Inputs, Outputs: d.Outputs, Streaming: d.Streaming,
		Scope: d.ExecutionScope, Class: d.CancelClass, Mode: d.CancelMode, BuffersAudio: d.BuffersAudio, LongRunning: d.LongRunning,
		State: d.State, Resources: node.Resources{CPUUnits: d.Resources.CPUUnits, MemoryMB: d.Resources.MemoryMB, GPU: d.Resources.GPU, Network: d.Resources.Network},
	}
}

// Differs names the first field in which two declarations differ, with both values; empty = in none.
func (d *Declaration) Differs(other *Declaration) (field string, ours, theirs any) {
	a, b := d.plain(), other.plain()
	for i := range a.NumField() {
		x, y := a.Field(i).Interface(), b.Field(i).Interface()
		if fmt.Sprint(x) != fmt.Sprint(y) {
			return a.Type().Field(i).Tag.Get("yaml"), x, y
		}
	}
	return "", nil, nil
}

func (d *Declaration) plain() reflect.Value {
	c := *d
	if c.CancelMode == "" {
		c.CancelMode = node.CancelHard
	}
	return reflect.ValueOf(c)
}
