// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
	"github.com/parley-voice/parley/node/translate"
)

// bracket translates by writing down what it was asked; it takes its time.
func bracket(ctx context.Context, r translate.Request) (string, error) {
	wait := 100 * time.Millisecond
	switch strings.TrimSpace(r.Text) {
	case "slow":
		wait = time.Hour
	case "fail":
		return "", errors.New("no")
	case "empty":
		return " ", nil
	case "flood":
		return strings.Repeat("x", 10_000), nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return " <" + r.From + ">" + strings.TrimSpace(r.Text) + "<" + r.To + "> ", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func translator(t *testing.T, config string) node.Node {
	t.Helper()
	n, err := translate.Kind(bracket).New(json.RawMessage(config))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	nodetest.Conform(t, translate.Kind(bracket), `{"to":"de"}`)
	nodetest.Conform(t, translate.Kind(bracket), `{"from":"en","to":"pt-BR","scope":"session","on_failure":"drop"}`)
}

func TestTranslates(t *testing.T) {
	german := nodetest.Segment(2, "Guten Tag.")
	german.Attributes = []node.Attribute{{Name: node.AttributeLanguage, Value: "de-AT"}}
	french := nodetest.Segment(3, "Salut.")
	french.Attributes = []node.Attribute{{Name: node.AttributeLanguage, Value: "fr"}}
	end := node.Event{Kind: "text", Type: node.TypeTextEnd}
	h := nodetest.Play(t, translator(t, `{"from":"en","to":"de"}`),
		nodetest.Give(nodetest.Segment(0, "Hello. "), nodetest.Segment(1, "You."), german, french, end),
		nodetest.Expect(`segment "<en>Hello.<de> " language=de`, `segment "<en>You.<de>" language=de`, `segment "Guten Tag." language=de-AT`, `segment "<fr>Salut.<de>" language=de`, "text_end"),
		nodetest.Give(nodetest.Transcript(0, "hel", false), nodetest.Transcript(1, "hello", true)),
		nodetest.Expect(`transcript "<en>hello<de>" language=de`),
	)
	if a, b := h.Count("translate_done"), h.Count("translate_same"); a != 4 || b != 1 {
		t.Errorf("counted %d, %d", a, b)
	}
}

// What cannot be translated goes on as it is, or not at all.
func TestFailures(t *testing.T) {
	for _, text := range []string{"slow", "fail", "empty", "flood", strings.Repeat("x", 1<<14+1)} {
		for config, want := range map[string][]string{`{"to":"de"}`: {`segment "` + text + `"`}, `{"to":"de","on_failure":"drop"}`: nil} {
			h := nodetest.Play(t, translator(t, config), nodetest.Give(nodetest.Segment(0, text)), nodetest.Expect(want...))
			if h.Count("translate_failed") != 1 {
				t.Errorf("%.10s %s: not counted", text, config)
			}
		}
	}
}

// A translation ends with the turn's budget, and with its turn.
func TestEnds(t *testing.T) {
	nodetest.Play(t, translator(t, `{"to":"de"}`), nodetest.WithBudget(50*time.Millisecond), nodetest.Give(nodetest.Segment(0, "Hello.")), nodetest.Expect(`segment "Hello."`))
	nodetest.Play(t, translator(t, `{"to":"de","timeout_ms":4000}`), func(h *nodetest.Harness) {
		h.Start()
		time.AfterFunc(time.Second, func() { h.Context().Cancel.Trip(node.Cancel{Reason: "barge_in"}) })
		h.Event(nodetest.Segment(0, "slow"))
		if n := len(h.Emitted()); n != 0 || h.Count("translate_failed") != 0 {
			t.Errorf("%d events after the cancel", n)
		}
	})
}

func TestConfigFaults(t *testing.T) {
	_, err := translate.Kind(bracket).Describe(json.RawMessage(`{"from":"english!","timeout_ms":9000,"on_failure":"retry","scope":"x"}`))
	for _, want := range []string{`config.to: ""`, `config.from: "english!"`, "config.timeout_ms: 9000: use 1 to 4500", `config.on_failure: "retry": use pass or drop`, "config.scope"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not among\n%v", want, err)
		}
	}
	if _, err := translate.Kind(nil).New(json.RawMessage(`{"to":"de"}`)); err == nil {
		t.Error("nobody translates, and it was made")
	}
}
