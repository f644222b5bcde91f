// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

type shop struct {
	Open  bool `set:"open" doc:"is it"`
	Parts struct {
		Doors []door `set:"doors" doc:"the ways in"`
	} `set:"parts"`
}

type door struct {
	Name  string    `set:"name" doc:"what it is called"`
	Keys  []string  `set:"keys" doc:"who opens it"`
	Wide  int64     `set:"wide_mm" doc:"how wide" min:"0" max:"3000"`
	Lock  Reference `set:"lock" doc:"its secret"`
	Glass bool      `set:"glass" doc:"what it is of"`
}

// A table comes from a file, a variable or a flag, and what is printed of it can be read again.
func TestTable(t *testing.T) {
	const file = "parts:\n  doors:\n    - name: front\n      keys: [a, b]\n      wide_mm: 900\n      lock: env://LOCK\n    - {name: back, glass: true}\n"
	const printed = `[{name: "front", keys: ["a","b"], wide_mm: 900, lock: "env://LOCK"}, {name: "back", glass: true}]`
	for layer, from := range map[Layer]Sources{
		File:        {Name: "a.yaml", Data: []byte(file)},
		Environment: {Prefix: "S__", Environment: []string{"S__PARTS__DOORS=" + printed}},
		Flag:        {Name: "a.yaml", Data: []byte("parts: {doors: [{name: other}]}"), Flags: []Given{{"--set", "parts.doors", printed}}},
	} {
		s := &shop{}
		l, err := Load(s, from)
		if err != nil {
			t.Fatal(layer, err)
		}
		d := s.Parts.Doors
		if len(d) != 2 || d[0].Name != "front" || fmt.Sprint(d[0].Keys) != "[a b]" || d[0].Wide != 900 || d[0].Lock != "env://LOCK" || !d[1].Glass {
			t.Errorf("%s: %+v", layer, d)
		}
		if v := l.Values()[1]; v.Path != "parts.doors" || v.Text != printed || v.Source.Layer != layer {
			t.Errorf("%s: printed %+v", layer, v)
		}
	}
	s := &shop{}
	l, err := Load(s, Sources{})
	if err != nil || l.Values()[1].Text != "" {
		t.Error("nothing is printed as", l.Values(), err)
	}
}

func TestTableFaults(t *testing.T) {
	const file = "parts:\n  doors:\n    - nam: front\n      wide_mm: 9000\n    - seven\n    - name: x\n      lock: hunter2\n    - &a {name: y}\n"
	s := &shop{}
	_, err := Load(s, Sources{Name: "a.yaml", Data: []byte(file), Prefix: "S__", Environment: []string{"S__PARTS__DOORS=[{name: 1, wide_mm: x}]"}, Flags: []Given{{"--set", "parts.doors", "front"}}})
	var refused *RefusedError
	if !errors.As(err, &refused) || s.Parts.Doors != nil {
		t.Fatalf("%v %+v", err, s)
	}
	for _, want := range []string{
		"a.yaml:3:7: parts.doors[0].nam: there is no such setting: did you mean name?",
		`a.yaml:4:16: parts.doors[0].wide_mm: "9000": use a whole number, 0 to 3000`,
		"a.yaml:5:7: parts.doors[1]: give a section",
		"a.yaml:7:13: parts.doors[2].lock: use a reference",
		"parts.doors[3]: give a section",
		`S__PARTS__DOORS: parts.doors[0].wide_mm: "x": use a whole number`,
		"--set: parts.doors: give a list of sections, at most 64",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not among\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") || len(refused.Faults) != 7 {
		t.Errorf("%d faults:\n%v", len(refused.Faults), err)
	}
	for _, text := range []string{"parts: {doors: 7}", "parts: {doors: {a: 1}}", "parts: {doors: [" + strings.Repeat("{name: a},", maxRows+1) + "]}"} {
		if _, err := Load(&shop{}, Sources{Name: "a.yaml", Data: []byte(text)}); err == nil || !strings.Contains(err.Error(), "a list of sections, at most 64") {
			t.Errorf("%.40s: %v", text, err)
		}
	}
}
