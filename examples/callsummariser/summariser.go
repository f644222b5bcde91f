// SPDX-License-Identifier: Apache-2.0

// Package callsummariser writes a summary of a call when it ends: who said how much, what was
// asked for, which tools were called, and what was said last. It changes nothing of the call.
package callsummariser

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/parley-voice/parley/node"
)

// Type is the node_type, and StateKey where the summary is, as JSON, in the session's state.
const (
	Type     = "call_summariser"
	StateKey = Type + "/summary"
)

// Config is what a spec says below config.
type Config struct {
	MaxChars int64 `json:"max_chars"` // of each text in the summary
}

// Validate checks what the types do not.
func (c *Config) Validate() error {
	if c.MaxChars < 20 || c.MaxChars > 1000 {
		return fmt.Errorf("config.max_chars: %d: use 20 to 1000", c.MaxChars)
	}
	return nil
}

// Summary is what is left of a call.
type Summary struct {
	UserTurns   int      `json:"user_turns"`
	AgentTurns  int      `json:"agent_turns"`
	Interrupted int      `json:"interrupted"` // answers that the caller spoke into
	Asked       string   `json:"asked"`       // what the caller said first
	Last        string   `json:"last"`        // what the agent was heard to say last
	Tools       []string `json:"tools,omitempty"`
	Failed      int      `json:"tools_failed,omitempty"`
}

// Kind makes the nodes, which write to a log as well; nil = they do not.
func Kind(log *slog.Logger) node.Kind {
	return node.KindOf(Config{MaxChars: 200}, func(c Config) (node.Node, error) {
		return &summariser{config: c, log: log}, nil
	})
}

type summariser struct {
	node.NoOp
	config Config
	log    *slog.Logger
	said   bool
}

// Declaration: it reads along, and gives nothing on.
func (s *summariser) Declaration() node.Declaration {
	return node.Declaration{
		Type: Type, Package: "examples/callsummariser", Scope: node.ScopeSession, State: []node.StateClass{node.StateDurable},
		Inputs: []node.Type{node.TypeTranscript, node.TypeSegment},
	}.WithDefaults()
}

// OnEvent keeps the summary up to date, so that there is one also if the call breaks off.
func (s *summariser) OnEvent(ctx *node.Context, ev *node.Event) error {
	if ev.Type == node.TypeTranscript && !ev.Final {
		return nil
	}
	s.said = true
	_, err := s.write(ctx)
	return err
}

// Stop writes the last one.
func (s *summariser) Stop(ctx *node.Context) error {
	if !s.said {
		return nil
	}
	s.said = false
	text, err := s.write(ctx)
	if err == nil && s.log != nil {
		s.log.Info("the call is over", "session", ctx.Session, "summary", text)
	}
	return err
}

func (s *summariser) write(ctx *node.Context) (string, error) {
	raw, err := json.Marshal(s.summary(ctx.State.Conversation()))
	if err != nil {
		return "", err
	}
	return string(raw), ctx.State.Put(node.StateDurable, StateKey, raw)
}

func (s *summariser) summary(talk []node.Message) (x Summary) {
	for _, m := range talk {
		switch m.Role {
		case "user":
			if x.UserTurns++; x.UserTurns == 1 {
				x.Asked = s.short(m.Text)
			}
		case "assistant":
			x.AgentTurns++
			x.Last = s.short(m.Text)
			if m.Interrupted {
				x.Interrupted++
			}
		case "tool_call":
			x.Tools = append(x.Tools, m.Name)
		case "tool_result":
			if m.Failed {
				x.Failed++
			}
		}
	}
	const most = 50
	x.Tools = x.Tools[:min(len(x.Tools), most)]
	return x
}

func (s *summariser) short(text string) string {
	list := []rune(strings.Join(strings.Fields(text), " "))
	if int64(len(list)) > s.config.MaxChars {
		return string(list[:s.config.MaxChars-1]) + "…"
	}
	return string(list)
}
