// SPDX-License-Identifier: Apache-2.0

package languagerouter_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/parley-voice/parley/examples/languagerouter"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
)

func router(t *testing.T, config string) node.Node {
	t.Helper()
	n, err := languagerouter.Kind().New(json.RawMessage(config))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	nodetest.Conform(t, languagerouter.Kind(), "")
	nodetest.Conform(t, languagerouter.Kind(), `{"languages":["de","fr"],"default":"fr"}`)
}

// The words tell the language; where they do not, it is the one that was spoken last.
func TestRouter(t *testing.T) {
	nodetest.Play(t, router(t, ""),
		nodetest.Give(nodetest.Transcript(0, "Hm.", true)), nodetest.Expect(`transcript "Hm." language=en`),
		nodetest.Give(nodetest.Transcript(0, "ich", false), nodetest.Transcript(1, "Ich möchte bitte einen Tisch.", true)),
		nodetest.Expect(`transcript "ich" language=de`, `transcript "Ich möchte bitte einen Tisch." language=de`),
		nodetest.Give(nodetest.Transcript(0, "Ok!", true)), nodetest.Expect(`transcript "Ok!" language=de`),
		nodetest.Give(nodetest.Transcript(0, "je vous", false), nodetest.Transcript(1, "Ok.", true)),
		nodetest.Expect(`transcript "je vous" language=fr`, `transcript "Ok." language=de`),
		nodetest.Give(nodetest.Transcript(0, "Hola, ¿cómo está usted?", true)), nodetest.Expect(`transcript "Hola, ¿cómo está usted?" language=es`),
	)
}

// Only what is configured is chosen, and a recogniser's own word is written over.
func TestLanguages(t *testing.T) {
	ev := nodetest.Transcript(0, "What is the weather?", true)
	ev.Attributes = []node.Attribute{{Name: node.AttributeLanguage, Value: "en"}, {Name: "mood", Value: "calm"}}
	nodetest.Play(t, router(t, `{"languages":["de","fr"],"default":"fr"}`), nodetest.Give(ev), nodetest.Expect(`transcript "What is the weather?" language=fr mood=calm`))
	for config, want := range map[string]string{`{"languages":["de","tlh"]}`: `config.languages[1]: "tlh"`, `{"languages":["de"]}`: `config.default: "en"`} {
		if _, err := languagerouter.Kind().Describe(json.RawMessage(config)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", config, err)
		}
	}
}
