// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/tool/mcptool"
)

// toolServers are the MCP servers whose tools the model may call.
type toolServers struct {
	list    []*mcptool.Server
	timeout time.Duration // the longest that a call of them may take
}

// How long the beginning waits for tool servers to say what they have. Nothing else does.
const toolsPatience = 3 * time.Second

// openTools begins to connect to the servers of a configuration.
func openTools(c *serve.Config, log *slog.Logger) (*toolServers, error) {
	var configs []mcptool.Config
	var faults []error
	names := map[string]bool{}
	for i, m := range c.Tools.MCP {
		one := mcptool.Config{
			Name: m.Name, Command: m.Command, URL: m.URL, Environment: m.Environment, Allow: m.Allow,
			Timeout: time.Duration(m.Timeout) * time.Millisecond, MaxOutput: int(m.Output), Version: programVersion(), Log: log,
		}
		if m.Authorization != "" {
			one.Secret = func() (string, error) { return m.Authorization.Resolve(os.Getenv) }
		}
		if err := one.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("tools.mcp[%d]: %w", i, err))
		}
		if names[m.Name] {
			faults = append(faults, fmt.Errorf("tools.mcp[%d].name: %q is given twice: give each server a name of its own", i, m.Name))
		}
		names[m.Name] = true
		configs = append(configs, one)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	t := &toolServers{}
	for _, one := range configs {
		s, err := mcptool.New(one)
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		t.list = append(t.list, s)
		t.timeout = max(t.timeout, one.Timeout, mcptool.DefaultTimeout)
	}
	return t, nil
}

// tools are those that there are at the moment.
func (t *toolServers) tools() (list []parley.Tool) {
	for _, s := range t.list {
		for _, x := range s.Tools() {
			list = append(list, parley.Tool{
				Name: x.Name, Description: x.Description, Parameters: x.Parameters,
				Run: func(ctx context.Context, arguments string) (string, error) {
					call, _ := parley.ToolCallOf(ctx)
					return x.Call(ctx, call.ID, arguments)
				},
			})
		}
	}
	return list
}

// configure has the agent's model offered them.
func (t *toolServers) configure(c *parley.Config) {
	if len(t.list) == 0 {
		return
	}
	c.MoreTools = t.tools
	const patience = 15 * time.Second // of a turn, where nothing is said
	c.ToolTimeout = max(c.ToolTimeout, patience, t.timeout+time.Second)
}

// tell says what each server has, after it was waited for.
func (t *toolServers) tell(ctx context.Context) (lines []string) {
	ctx, stop := context.WithTimeout(ctx, toolsPatience)
	defer stop()
	for _, s := range t.list {
		if err := s.Ready(ctx); err != nil {
			lines = append(lines, s.Name()+": away, and tried again: "+err.Error())
			continue
		}
		var names []string
		for _, x := range s.Tools() {
			names = append(names, x.Name)
		}
		lines = append(lines, fmt.Sprintf("%s: %s", s.Name(), strings.Join(names, ", ")))
	}
	return lines
}

// Close ends the connections.
func (t *toolServers) Close() error {
	var faults []error
	for _, s := range t.list {
		faults = append(faults, s.Close())
	}
	return errors.Join(faults...)
}
