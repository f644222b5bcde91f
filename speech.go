// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/provider"
)

// unspoken tells the engines' languages where none of them is the one asked for: an engine
// that says which it has refuses every call in another. Of a tag the language counts, not
// the region.
func unspoken(d provider.Descriptor, language string) (known []string, lacks bool) {
	primary := func(tag string) string {
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		return tag
	}
	known = d.Capabilities.Languages
	return known, language != "" && len(known) > 0 &&
		!slices.ContainsFunc(known, func(tag string) bool { return primary(tag) == primary(language) })
}

// unvoiced tells the engine's voices where none of them is the one asked for.
func unvoiced(d provider.Descriptor, voice string) (known []string, lacks bool) {
	known = d.Capabilities.Voices
	return known, voice != "" && len(known) > 0 && !slices.Contains(known, voice)
}

// spoken says whether anything speaks as the config has it: of a graph the nodes that are
// told nothing of their own.
func (c *Config) spoken() bool {
	return c.Graph == nil || slices.ContainsFunc(c.Graph.Definition.Nodes, func(n graph.Node) bool {
		_, own := c.Graph.Voices[n.ID]
		return n.Role == graph.RoleSynthesiser && !own
	})
}

// validateSpeech holds language and voice to the engines: what an engine does not have
// would fail every turn.
func (c *Config) validateSpeech() (faults []error) {
	refuse := func(field, value string, d provider.Descriptor, known []string) {
		faults = append(faults, fmt.Errorf("parley: %s: %q: %s does not have it: use one of %s, or leave it empty", field, value, d.ID, strings.Join(known, ", ")))
	}
	var engines []provider.Descriptor
	if c.STT != nil {
		engines = append(engines, c.STT.Descriptor())
	}
	if c.TTS != nil && c.spoken() {
		d := c.TTS.Descriptor()
		engines = append(engines, d)
		if known, lacks := unvoiced(d, c.Voice); lacks {
			refuse("voice", c.Voice, d, known)
		}
	}
	for _, d := range engines {
		if known, lacks := unspoken(d, c.Language); lacks {
			refuse("language", c.Language, d, known)
		}
	}
	return faults
}
