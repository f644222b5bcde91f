// SPDX-License-Identifier: Apache-2.0

package compliance_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/compliance"
	"github.com/parley-voice/parley/node/nodetest"
)

const profile = `{"rules":[
	{"name":"profanity","words":["damn","Hölle","d'oh"],"action":"replace","with":"beep"},
	{"name":"cards","find":"card","action":"mask"},
	{"name":"phones","find":"phone","action":"mask","mask":"#"},
	{"name":"mail","find":"email","action":"replace","with":"an address"},
	{"name":"legal","words":["lawyer"],"action":"tag","attribute":"topic","value":"legal"},
	{"name":"project","pattern":"(?i)project\\s+x[0-9]+","action":"drop"}]}`

func TestConformance(t *testing.T) {
	for _, config := range []string{profile, `{"scope":"session","rules":[{"name":"x","words":["raining"],"action":"mask"}]}`} {
		nodetest.Conform(t, compliance.Kind(), config)
	}
}

func make1(t *testing.T, config string) node.Node {
	t.Helper()
	n, err := compliance.Kind().New(json.RawMessage(config))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What is said, and what goes on of it.
func TestRules(t *testing.T) {
	for text, want := range map[string]string{
		"Nothing here.":                             `segment "Nothing here."`,
		"Damn it, damnation.":                       `segment "beep it, damnation."`,
		"zur HÖLLE damit, d’oh!":                    `segment "zur beep damit, beep!"`,
		"My card is 4111 1111 1111 1111.":           `segment "My card is **** **** **** 1111."`,
		"4111-1111-1111-1111, and 5555555555554444": `segment "****-****-****-1111, and ************4444"`,
		"Order 4111 1111 1111 1112, please":         `segment "Order 4111 1111 1111 1112, please"`, // a wrong checksum, too long for a telephone
		"0000000000000000":                          `segment "0000000000000000"`,
		"x4111111111111111":                         `segment "x4111111111111111"`,
		"Call +49 (0)30 123-4567 now":               `segment "Call +## (#)## ###-#### now"`,
		"It was 1999, for 12 days":                  `segment "It was 1999, for 12 days"`,
		"Write to jo.do+x@mail.example.org!":        `segment "Write to an address!"`,
		"a @ b":                                     `segment "a @ b"`,
		"My lawyer says so":                         `segment "My lawyer says so" topic=legal`,
		"about Project  x17":                        "",
	} {
		want := strings.Split(want, "\n")
		if want[0] == "" {
			want = nil
		}
		nodetest.Play(t, make1(t, profile), nodetest.Give(nodetest.Segment(0, text)), nodetest.Expect(want...))
	}
}

// Findings are counted by rule: of a transcript once, when it is final.
func TestCounts(t *testing.T) {
	h := nodetest.Play(t, make1(t, profile),
		nodetest.Give(nodetest.Transcript(0, "damn", false), nodetest.Transcript(1, "damn damn", true), nodetest.Segment(0, "damn"), nodetest.Segment(1, "project x1")),
	)
	if a, b, c := h.Count("compliance_profanity"), h.Count("compliance_project"), h.Count("compliance_cards"); a != 3 || b != 1 || c != 0 {
		t.Errorf("counted %d, %d, %d", a, b, c)
	}
	if got := h.Emitted(); len(got) != 3 || got[1].Text != "beep beep" || !got[1].Final {
		t.Errorf("emitted %+v", got)
	}
}

// Rules apply to what is left, a replacement may be nothing, and the whole piece goes with it.
func TestOrder(t *testing.T) {
	const config = `{"rules":[{"name":"a","words":["one"],"action":"replace","with":"two"},{"name":"b","words":["two"],"action":"replace"},{"name":"c","pattern":"[aeiou]","action":"mask","mask":"_"}]}`
	nodetest.Play(t, make1(t, config), nodetest.Give(nodetest.Segment(0, "one and two"), nodetest.Segment(1, " one ")), nodetest.Expect(`segment " _nd "`))
}

// What is too much is dropped, not let through.
func TestBounds(t *testing.T) {
	h := nodetest.Play(t, make1(t, profile), nodetest.Give(nodetest.Segment(0, strings.Repeat("damn ", 1001)), nodetest.Segment(1, strings.Repeat("x", 1<<16+1))), nodetest.Expect())
	if h.Count("compliance_too_long") != 1 || h.Count("compliance_profanity") == 0 {
		t.Error("it is not counted")
	}
	full := nodetest.Segment(0, "my lawyer")
	for i := range node.MaxAttributes {
		full.Attributes = append(full.Attributes, node.Attribute{Name: fmt.Sprint("a", i)})
	}
	h = nodetest.Play(t, make1(t, profile), nodetest.Give(full))
	if h.Count("compliance_untagged") != 1 || len(h.Emitted()) != 1 {
		t.Error("an event full of attributes")
	}
}

func TestConfigFaults(t *testing.T) {
	const config = `{"scope":"call","rules":[
		{"name":"A b","words":["x"],"pattern":"y","action":"mask"},
		{"name":"p","pattern":"(?<a","action":"erase"},
		{"name":"p","pattern":"x*","action":"drop","with":"z","mask":"##"},
		{"name":"f","find":"iban","action":"tag"},
		{"name":"w","words":["two words",""],"action":"mask","attribute":"x"}]}`
	_, err := compliance.Kind().Describe(json.RawMessage(config))
	for _, want := range []string{
		`config.scope: "call": use turn or session`, `config.rules[0].name: "A b"`, "config.rules[0].words: 2 of words, pattern and find: give one", "config.rules[1].pattern",
		`config.rules[1].action: "erase": use mask, drop, replace or tag`, "config.rules[2].pattern: \"x*\": it matches nothing at all", "config.rules[2].with", "config.rules[2].mask",
		`config.rules[2].name: "p": it is taken`, `config.rules[3].find: "iban"`, "config.rules[3].attribute", `config.rules[4].words: "two words"`, `config.rules[4].words: ""`, "config.rules[4].attribute",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not among\n%v", want, err)
		}
	}
	for _, bad := range []string{"", `{"rules":[]}`, `{"rules":[{"name":"x","words":["a"],"action":"mask","sign":"*"}]}`} {
		if _, err := compliance.Kind().Describe(json.RawMessage(bad)); err == nil {
			t.Errorf("%s was described", bad)
		}
	}
}

// Whatever is said: no panic, valid text stays valid, and nothing that was to be found is left.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"damn", "4111 1111 1111 1111", "a@b.c", "d’oh", "\xff1234567", "+1 (2) 3.4-5/6 7 8 9", "ﬁ D'OH'"} {
		f.Add(seed)
	}
	n, err := compliance.Kind().New(json.RawMessage(profile))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := nodetest.New(t, n)
		ev := nodetest.Segment(0, text)
		for _, out := range func() []node.Event {
			h.Event(ev)
			return h.Emitted()
		}() {
			if utf8.ValidString(text) && !utf8.ValidString(out.Text) {
				t.Errorf("%q became %q", text, out.Text)
			}
			again := nodetest.New(t, n)
			again.Event(out)
			if again.Count("compliance_profanity")+again.Count("compliance_mail") > 0 && !strings.Contains(text, "address") {
				t.Errorf("%q became %q, in which there is still something", text, out.Text)
			}
		}
	})
}
