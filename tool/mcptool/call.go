// SPDX-License-Identifier: Apache-2.0

package mcptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// KeyMeta is the member of _meta that holds a call's idempotency key.
const KeyMeta = "parley.voice/idempotency_key"

// call calls a tool once. Its errors are for the model: short, and without what only an
// operator may read.
func (s *Server) call(ctx context.Context, name, key, arguments string) (string, error) {
	s.mu.Lock()
	session := s.session
	s.mu.Unlock()
	if session == nil {
		return "", fmt.Errorf("the tool server %s is away: say that it cannot be reached at the moment", s.config.Name)
	}
	ctx, stop := context.WithTimeout(ctx, s.config.Timeout)
	defer stop()
	params := &mcp.CallToolParams{Name: name, Arguments: json.RawMessage(arguments)}
	if key != "" {
		params.Meta = mcp.Meta{KeyMeta: key}
	}
	result, err := session.CallTool(ctx, params)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		s.config.Log.Warn("a call of the MCP server failed", "server", s.config.Name, "tool", clip(name, maxNameLength*4), "error", err)
		return "", fmt.Errorf("the tool server %s did not answer: %s", s.config.Name, clip(err.Error(), 200))
	}
	text := s.output(result)
	if result.IsError {
		if text == "" {
			text = "the tool has failed and does not say why"
		}
		return "", errors.New(text)
	}
	return text, nil
}

// output is what a result says, within the bound.
func (s *Server) output(r *mcp.CallToolResult) string {
	var parts []string
	for _, c := range r.Content {
		switch c := c.(type) {
		case *mcp.TextContent:
			parts = append(parts, c.Text)
		case *mcp.ImageContent:
			parts = append(parts, fmt.Sprintf("[an image, %s, %d bytes]", clip(c.MIMEType, 60), len(c.Data)))
		case *mcp.AudioContent:
			parts = append(parts, fmt.Sprintf("[sound, %s, %d bytes]", clip(c.MIMEType, 60), len(c.Data)))
		case *mcp.ResourceLink:
			parts = append(parts, "[a link to "+clip(c.URI, 500)+"]")
		case *mcp.EmbeddedResource:
			if c.Resource != nil && c.Resource.Text != "" {
				parts = append(parts, c.Resource.Text)
			} else {
				parts = append(parts, "[a resource that is no text]")
			}
		default:
			parts = append(parts, "[content of a kind that is not known here]")
		}
	}
	text := strings.Join(parts, "\n")
	if text == "" && r.StructuredContent != nil {
		if raw, err := json.Marshal(r.StructuredContent); err == nil {
			text = string(raw)
		}
	}
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= s.config.MaxOutput {
		return text
	}
	note := fmt.Sprintf("\n[cut: the tool gave %d bytes, of which these are the first %%d]", len(text))
	kept := clip(text, s.config.MaxOutput-len(note)-len("000000"))
	return kept + fmt.Sprintf(note, len(kept))
}

// clip gives at most so many bytes of a text, whole characters.
func clip(text string, most int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if most = max(most, 0); len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// maxToolName is the longest name that models take.
const maxToolName = 64

// modelName is the name that the model knows a tool by.
func modelName(server, tool string, taken func(string) bool) string {
	safe := []byte(server + "_" + tool)
	for i, b := range safe {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '_' && b != '-' {
			safe[i] = '_'
		}
	}
	name := string(safe[:min(len(safe), maxToolName)])
	for n := 2; taken(name); n++ {
		tail := fmt.Sprintf("_%d", n)
		name = string(safe[:min(len(safe), maxToolName-len(tail))]) + tail
	}
	return name
}
