// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

func TestText(t *testing.T) {
	n := node.Text(node.Declaration{Type: "upper", Package: "p"}, func(_ *node.Context, text string) (string, error) {
		switch text {
		case "drop":
			return "", nil
		case "fail":
			return "", errors.New("no")
		}
		return strings.ToUpper(text), nil
	})
	if err := node.Check(n); err != nil {
		t.Fatal(err)
	}
	d := n.Declaration()
	if fmt.Sprintf("%v %v %s %s %s %s %s", d.Inputs, d.Outputs, d.Version, d.Scope, d.Class, d.Mode, d.Streaming) != "[transcript segment] [transcript segment] v1 turn preemptible hard incremental" {
		t.Errorf("%+v", d)
	}
	var got []node.Event
	token := node.NewCancelToken(t.Context())
	ctx := &node.Context{Cancel: token, Out: func(ev *node.Event) { got = append(got, *ev) }}
	in := node.Event{Kind: eventabi.KindText, Type: node.TypeSegment, Class: eventabi.ClassPII, Index: 3, Text: "a", Protected: true, Attributes: []node.Attribute{{"k", "v"}}}
	for _, text := range []string{"hello", "drop", ""} {
		ev := in
		ev.Text = text
		if err := n.OnEvent(ctx, &ev); err != nil || ev.Text != text {
			t.Errorf("%q: the event became %q, %v", text, ev.Text, err)
		}
	}
	if len(got) != 2 || got[0].Text != "HELLO" || got[1].Text != "" || got[0].Class != eventabi.ClassPII || got[0].Index != 3 || !got[0].Protected || got[0].Attribute("k") != "v" {
		t.Errorf("emitted %+v", got)
	}
	in.Text = "fail"
	if err := n.OnEvent(ctx, &in); err == nil {
		t.Error("the function's error is lost")
	}
	token.Trip(node.Cancel{})
	in.Text = "late"
	if err := n.OnEvent(ctx, &in); err != nil || len(got) != 2 || !ctx.Over() {
		t.Errorf("after the cancel: %+v %v", got[2:], err)
	}
}

// What a function makes of a text while its turn is cancelled does not go out either.
func TestTextCancelledMeanwhile(t *testing.T) {
	token := node.NewCancelToken(t.Context())
	n := node.Text(node.Declaration{Type: "slow", Package: "p"}, func(_ *node.Context, text string) (string, error) {
		token.Trip(node.Cancel{})
		return text, nil
	})
	out := 0
	ctx := &node.Context{Cancel: token, Out: func(*node.Event) { out++ }}
	if err := n.OnEvent(ctx, &node.Event{Text: "x"}); err != nil || out != 0 {
		t.Error(err, out)
	}
}

func TestKindOf(t *testing.T) {
	type config struct {
		Mark string `json:"mark"`
	}
	kind := node.KindOf(config{Mark: "!"}, func(c config) (node.Node, error) {
		if c.Mark == "" {
			return nil, errors.New(`config.mark: "": give a mark`)
		}
		return node.Text(node.Declaration{Type: "shout", Package: "p"}, func(_ *node.Context, text string) (string, error) { return text + c.Mark, nil }), nil
	})
	for raw, want := range map[string]string{"": "x!", `{"mark":"?"}`: "x?"} {
		n, err := kind.New(json.RawMessage(raw))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := n.OnEvent(&node.Context{Out: func(ev *node.Event) { got = ev.Text }}, &node.Event{Text: "x"}); err != nil || got != want {
			t.Errorf("%s: %q %v", raw, got, err)
		}
	}
	for _, bad := range []string{`{"mark":""}`, `{"mork":"x"}`, `{"mark":1}`} {
		if _, err := kind.Describe(json.RawMessage(bad)); err == nil {
			t.Errorf("%s was described", bad)
		}
	}
}

func TestSetAttribute(t *testing.T) {
	original := node.Event{Attributes: []node.Attribute{{"a", "1"}, {"b", "2"}}}
	ev := original
	if !ev.SetAttribute("b", "3") || !ev.SetAttribute("c", "4") || fmt.Sprint(ev.Attributes) != "[{a 1} {b 3} {c 4}]" {
		t.Error(ev.Attributes)
	}
	if fmt.Sprint(original.Attributes) != "[{a 1} {b 2}]" {
		t.Errorf("the event that was lent became %v", original.Attributes)
	}
	for i := range node.MaxAttributes {
		ev.SetAttribute(fmt.Sprint("x", i), "")
	}
	if len(ev.Attributes) != node.MaxAttributes || ev.SetAttribute("one more", "") || !ev.SetAttribute("a", "5") {
		t.Error(len(ev.Attributes))
	}
}
