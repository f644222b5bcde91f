// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/controlplane/pipeline"
	"github.com/parley-voice/parley/provider"
)

// hears and speaks say of an engine which languages and voices it has.
type hears struct {
	provider.STT
	languages []string
}

func (h hears) Descriptor() provider.Descriptor {
	d := h.STT.Descriptor()
	d.Capabilities.Languages = h.languages
	return d
}

type speaks struct {
	provider.TTS
	languages, voices []string
}

func (s speaks) Descriptor() provider.Descriptor {
	d := s.TTS.Descriptor()
	d.Capabilities.Languages, d.Capabilities.Voices = s.languages, s.voices
	return d
}

func speaking(stt, tts, voices []string) Config {
	c := config()
	c.STT, c.TTS = hears{c.STT, stt}, speaks{c.TTS, tts, voices}
	return c
}

// What the engines do not have is refused before there is a call, not in each of its turns;
// engines that say nothing of it are asked for anything.
func TestVoicesAndLanguagesThatEnginesHave(t *testing.T) {
	for _, c := range []struct {
		stt, tts, voices []string
		language, voice  string
		refused          string
	}{
		{},
		{language: "fr", voice: "anna"},
		{[]string{"en-US"}, []string{"en-GB"}, []string{"anna", "paul"}, "en-AU", "paul", ""},
		{[]string{"en-US"}, []string{"en-US"}, []string{"anna"}, "EN", "anna", ""},
		{[]string{"en-US", "de"}, []string{"en-US"}, nil, "de-DE", "", `language: "de-DE"`},
		{[]string{"de"}, []string{"en-US", "de"}, nil, "en", "", `language: "en"`},
		{nil, nil, []string{"anna", "paul"}, "", "Anna", `voice: "Anna"`},
	} {
		config := speaking(c.stt, c.tts, c.voices)
		config.Language, config.Voice = c.language, c.voice
		_, err := New(config)
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

const spoken = `nodes:
  caller: {type: caller}
  stt: {type: stt, config: {language: de}}
  llm: {type: llm}
  cut: {type: segmenter}
  voice: {type: tts, config: {language: en, voice: paul}}
  speaker: {type: speaker}
edges:
  sound: {from: caller, to: stt}
  words: {from: stt, to: llm}
  text: {from: llm, to: cut}
  pieces: {from: cut, to: voice}
  speech: {from: voice, to: speaker}
`

// Of a spec each is told at the node that asks for it; a node that speaks for itself is not
// held to what is heard.
func TestVoicesAndLanguagesOfASpec(t *testing.T) {
	for _, c := range []struct {
		stt, tts, voices []string
		refused          []string
	}{
		{nil, nil, nil, nil},
		{[]string{"de-DE"}, []string{"en-US"}, []string{"paul"}, nil},
		{[]string{"en"}, []string{"fr"}, []string{"anna"}, []string{"3:39 nodes.stt.config.language", "6:41 nodes.voice.config.language", "6:52 nodes.voice.config.voice"}},
	} {
		flow, err := ReadFlow(FlowSource{Name: "voice.yaml", Spec: []byte(spoken)})
		if err != nil {
			t.Fatal(err)
		}
		config := speaking(c.stt, c.tts, c.voices)
		err = config.Use(flow, nil, Engines{})
		var places []string
		if refused := (*pipeline.RefusedError)(nil); errors.As(err, &refused) {
			for _, f := range refused.Faults {
				if f.Code != pipeline.CodeEngineLacks {
					t.Errorf("it says %s", f)
				}
				where, _, _ := strings.Cut(strings.TrimPrefix(f.String(), "voice.yaml:"), ": ")
				places = append(places, where+" "+f.Path)
			}
		} else if err != nil {
			t.Fatal(err)
		} else if _, err := New(config); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		slices.Sort(places)
		if !slices.Equal(places, c.refused) {
			t.Errorf("%+v: refused at %q", c, places)
		}
	}
}
