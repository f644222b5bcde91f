// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/node"
)

func TestRegistry(t *testing.T) {
	kind := node.KindFunc(func(config json.RawMessage) (node.Node, error) {
		if config != nil {
			return nil, errors.New("config: takes none")
		}
		return &node.Func{About: node.Declaration{
			Type: "quiet", Package: "test", Version: "1.0.0", Inputs: []node.Type{node.TypeSegment},
			Streaming: node.StreamIncremental, Scope: node.ScopeTurn, Class: node.Cooperative,
		}}, nil
	})
	var r node.Registry
	for _, name := range []string{"quiet", "loud"} {
		if err := r.Register(name, kind); err != nil {
			t.Fatal(err)
		}
	}
	for name, k := range map[string]node.Kind{"quiet": kind, "Quiet": kind, "": kind, "nothing": nil} {
		if err := r.Register(name, k); err == nil {
			t.Errorf("%q was registered", name)
		}
	}
	if got := r.Types(); !slices.Equal(got, []string{"loud", "quiet"}) {
		t.Error(got)
	}
	k, err := r.Lookup("quiet")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := k.Describe(nil); err != nil || d.Type != "quiet" {
		t.Error(d, err)
	}
	if _, err := k.Describe(json.RawMessage(`{"x":1}`)); err == nil {
		t.Error("a config that the node refuses was described")
	}
	if _, err := r.Lookup("quiett"); !errors.Is(err, node.ErrUnknownKind) || !strings.Contains(err.Error(), `"loud" "quiet"`) {
		t.Error(err)
	}
	var none *node.Registry
	if _, err := none.Lookup("quiet"); !errors.Is(err, node.ErrUnknownKind) {
		t.Error(err)
	}
}

func TestAttributes(t *testing.T) {
	ev := node.Event{Attributes: []node.Attribute{{node.AttributeLanguage, "de"}, {"mood", "calm"}}}
	if ev.Attribute("mood") != "calm" || ev.Attribute(node.AttributeLanguage) != "de" || ev.Attribute("none") != "" {
		t.Error(ev.Attributes)
	}
}
