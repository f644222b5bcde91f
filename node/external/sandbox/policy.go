// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Level is how far a process is held off.
type Level string

// The levels, rising.
const (
	LevelProcess Level = "process"
	LevelLimited Level = "limited"
	LevelSandbox Level = "sandbox"
)

// Rank orders levels. 0 = none of them.
func (l Level) Rank() int {
	switch l {
	case LevelProcess:
		return 1
	case LevelLimited:
		return 2
	case LevelSandbox:
		return 3
	}
	return 0
}

// Policy is what a launcher applies.
type Policy struct {
	Level   Level    `json:"level"`
	Command string   `json:"command"` // an absolute path
	Args    []string `json:"args,omitempty"`
	// Read and Write are files and folders that the program may use, with what is below them.
	// What may be read may be executed.
	Read    []string `json:"read,omitempty"`
	Write   []string `json:"write,omitempty"`
	Network bool     `json:"network,omitempty"`
	// Processes lets it start further processes; threads it always may.
	Processes bool  `json:"processes,omitempty"`
	MemoryMB  int64 `json:"memory_mb"`
	Tasks     int64 `json:"tasks"`
	Files     int64 `json:"files"` // open at a time
	Nice      int   `json:"nice,omitempty"`
}

// Args are the arguments for the launcher, after those that make it call Exec.
func Args(p *Policy) ([]string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("sandbox: policy: %w", err)
	}
	return []string{string(b)}, nil
}

// Exec applies the policy that Args made and becomes the command. It returns only when it could
// not, and the process must end then.
func Exec(args []string) error {
	if len(args) != 1 {
		return errors.New("sandbox: a launcher is started by Parley, with a policy")
	}
	p := &Policy{}
	if err := json.Unmarshal([]byte(args[0]), p); err != nil {
		return fmt.Errorf("sandbox: policy: %w", err)
	}
	if p.Level.Rank() < LevelLimited.Rank() || p.Command == "" {
		return fmt.Errorf("sandbox: level: %q: a launcher is for %s and %s, and for a command", p.Level, LevelLimited, LevelSandbox)
	}
	return apply(p)
}
