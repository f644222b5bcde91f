// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-voice/parley/node"
)

type rule struct {
	Name  string   `json:"name"`
	Words []string `json:"words"`
	Most  uint8    `json:"most"`
}

type settings struct {
	On     bool              `json:"on"`
	Count  int64             `json:"count"`
	Share  float64           `json:"share"`
	Rules  []rule            `json:"rules"`
	First  rule              `json:"first"`
	Labels map[string]string `json:"labels"`
	Limit  *int              `json:"limit"`
	hidden string
}

func (s *settings) Validate() error {
	if s.Count == 13 {
		return errors.New("config.count: 13: give another number")
	}
	return nil
}

func TestDecode(t *testing.T) {
	defaults := settings{On: true, Count: 7, First: rule{Name: "one", Most: 3}, hidden: "kept"}
	for _, none := range []string{"", "null", "{}", `{"count":null}`, " \n"} {
		if got, err := node.Decode(json.RawMessage(none), defaults); err != nil || !reflect.DeepEqual(got, defaults) {
			t.Errorf("%q: %+v %v", none, got, err)
		}
	}
	got, err := node.Decode(json.RawMessage(`{"on":false,"share":0.5,"rules":[{"name":"a","words":["x","y"]},{}],"first":{"most":9},"labels":{"k":"v"},"limit":4}`), defaults)
	four := 4
	want := settings{
		Count: 7, Share: 0.5, Rules: []rule{{Name: "a", Words: []string{"x", "y"}}, {}}, First: rule{Name: "one", Most: 9},
		Labels: map[string]string{"k": "v"}, Limit: &four, hidden: "kept",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v %v", got, err)
	}
}

// Every fault is told, with field, value and remedy, and nothing of the config is taken.
func TestDecodeFaults(t *testing.T) {
	const config = `{"on":"yes","count":1.5,"Count":1,"hidden":"x","share":"half","rules":[{"most":256},{"nane":"b"},7],"first":[],"labels":{"k":1},"limit":"x"}`
	got, err := node.Decode(json.RawMessage(config), settings{Count: 7})
	if err == nil || got.Count != 7 || got.Rules != nil {
		t.Fatalf("%+v %v", got, err)
	}
	for _, fault := range []string{
		`config.on: "yes": give true or false`,
		`config.count: 1.5: give a whole number`,
		`config.Count: 1: there is no such field: use count, first, labels, limit, on, rules, share`,
		`config.hidden: "x": there is no such field`,
		`config.share: "half": give a number`,
		`config.rules[0].most: 256: give a whole number, 0 or more`,
		`config.rules[1].nane: "b": there is no such field: use most, name, words`,
		`config.rules[2]: 7: give an object`,
		`config.first: []: give an object`,
		`config.labels: {"k":1}: give an object; of each member a text`,
		`config.limit: "x": give a whole number`,
	} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("%s is not among\n%v", fault, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 11 {
		t.Errorf("%d faults:\n%v", n, err)
	}
	for _, bad := range []string{`{`, `[]`, `7`, `"x"`} {
		if _, err := node.Decode(json.RawMessage(bad), settings{}); err == nil || !strings.HasPrefix(err.Error(), "config: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := node.Decode(json.RawMessage(`{"count":13}`), settings{}); err == nil || !strings.Contains(err.Error(), "another number") {
		t.Errorf("the config was not asked: %v", err)
	}
	if _, err := node.Decode(json.RawMessage(`{"x":1}`), struct{}{}); err == nil || !strings.Contains(err.Error(), "it takes none") {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"on":true}`, `{"rules":[{"words":["a"]}]}`, `{"first":{"most":-1}}`, "[[[", `{"labels":{}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		c, err := node.Decode(config, settings{Count: 7})
		if err != nil && !reflect.DeepEqual(c, settings{Count: 7}) {
			t.Errorf("refused, and taken: %+v", c)
		}
	})
}
