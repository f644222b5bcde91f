// SPDX-License-Identifier: Apache-2.0

package load

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// What is printed is what is read, so that a built-in profile can be edited.
func TestPrintedProfileIsReadBack(t *testing.T) {
	for _, name := range Scenarios() {
		want := Builtin(Scenario(name))
		if err := want.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := ReadProfile(name+".yaml", []byte(want.Text()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(got.Disturbances)+len(want.Disturbances) == 0 {
			got.Disturbances = want.Disturbances
		}
		if got.origin = want.origin; !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v\nwant\n%+v", name, got, want)
		}
	}
}

func TestProfileOverDefaults(t *testing.T) {
	p, err := ReadProfile("p.json", []byte(`{"scenario": "soak", "sessions": 7, "duration": "40s", "warm_up": "5s", "sample": "2s",
		"engines": {"llm": "1s..2s"}, "tenants": [{"name": "a", "share": 2, "turns_per_minute": 30}, {"name": "b", "share": 1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Sessions != 7 || p.Duration != 40*time.Second || p.Engines.LLM != (Span{time.Second, 2 * time.Second}) {
		t.Errorf("%+v", p)
	}
	if want := Builtin(Soak); p.Engines.TTS != want.Engines.TTS || p.Callers != want.Callers {
		t.Error("what the profile does not say is not as the built-in one has it")
	}
	if len(p.Tenants) != 2 || p.Tenants[0].TurnsPerMinute != 30 || p.Tenants[1].Action != "reject" {
		t.Errorf("tenants %+v", p.Tenants)
	}
	x := &Crowd{tenants: p.Tenants}
	counts := map[string]int{}
	for n := range 300 {
		counts[x.tenant(n)]++
	}
	if counts["a"] != 200 || counts["b"] != 100 {
		t.Errorf("300 callers by their shares of 2 and 1: %v", counts)
	}
	if err := p.Set("callers.life=3s"); err != nil || p.Callers.Life != (Span{3 * time.Second, 3 * time.Second}) {
		t.Errorf("set: %v, %v", p.Callers.Life, err)
	}
}

// Each fault is told with file, line, field, value and remedy.
func TestProfileFaults(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"scenario", "seed: 1\nscenario: storm", `p.yaml:2: scenario: "storm": use overload, neighbours, soak`},
		{"number", "sessions: many", `p.yaml:1: sessions: "many": use a whole number from 1 to 50000`},
		{"below", "sessions: 0", `p.yaml:1: sessions: "0": use a whole number from 1 to 50000`},
		{"time", "duration: 20", `p.yaml:1: duration: "20": use a time such as 250ms, 20s or 10m; above 0s and at most 24h`},
		{"long", "duration: 25h", `p.yaml:1: duration: "25h": use a time`},
		{"span", "engines:\n  llm: 2s..1s", `p.yaml:2: engines.llm: "2s..1s": use a time, or two with dots between them, the shorter one first`},
		{"not a number", "bounds:\n  move_percent: NaN", `p.yaml:2: bounds.move_percent: "NaN": use a number from 0 to 1000`},
		{"unknown", "engines:\n  asr: 1s", `p.yaml:2: engines.asr: "1s": there is no such field; use llm, next, reply, stt, tts`},
		{"twice", "seed: 1\nseed: 2", `seed`},
		{"section", "engines: fast", `p.yaml:1: engines: "fast": write its fields below it`},
		{"nested", "seed:\n  a: 1", `p.yaml:2: seed: "": give one value`},
		{"list", "tenants: one", `p.yaml:1: tenants: "one": write a list, each element behind a dash`},
		{"element", "tenants:\n  - one", `p.yaml:2: tenants[0]: "one": write fields and their values`},
		{"in a list", "tenants:\n  - name: a\n    share: -1", `p.yaml:3: tenants[0].share: "-1": use a whole number from 0 to 1000`},
		{"word", "tenants:\n  - {name: a, share: 1, action: wait}", `p.yaml:2: tenants[0].action: "wait": use reject, defer`},
		{"no share", "tenants:\n  - name: a", `tenants: "1": give at least one tenant a share above 0`},
		{"same name", "tenants:\n  - {name: a, share: 1}\n  - {name: a}", `tenants[1].name: "a": give each tenant a name of its own`},
		{"kind", "scenario: neighbours\ndisturbances:\n  - kind: noise\n    tenant: x", `p.yaml:3: disturbances[0].kind: "noise": use stall, panic, flood, slow_reader`},
		{"no rate", "scenario: neighbours\ndisturbances:\n  - {kind: flood, tenant: x}", `disturbances[0].opens_per_second: "0": give a rate`},
		{"no block", "scenario: neighbours\ndisturbances:\n  - {kind: slow_reader, tenant: x}", `disturbances[0].block: "0s": say how long a write blocks`},
		{"no tenant", "scenario: neighbours\ndisturbances:\n  - kind: stall", `disturbances[0].tenant: "": name whose call it is`},
		{"one of the callers'", "scenario: neighbours\ndisturbances:\n  - {kind: stall, tenant: load}", `disturbances[0].tenant: "load": name a tenant that has no share`},
		{"flood of nobody", "scenario: neighbours\ndisturbances:\n  - kind: flood\n    tenant: x\n    texts_per_second: 1", `p.yaml:4: disturbances[0].tenant: "x": declare it below tenants`},
		{"over before it begins", "scenario: soak\nduration: 63s\nsample: 1s", `p.yaml:2: duration: "1m3s": more than ramp and warm_up together, 1m3s`},
		{"nothing to compare", "scenario: neighbours\ndisturbances: []", `disturbances: "0": name at least one`},
		{"elsewhere", "scenario: soak\ndisturbances:\n  - {kind: stall, tenant: x}", `disturbances: "1": leave them out`},
		{"no life", "scenario: soak\ncallers:\n  life: 0s", `callers.life: "0s": say how long a call lasts`},
		{"few samples", "scenario: soak\nduration: 20s\nsample: 10s", `sample: "10s": at most a tenth of the duration`},
		{"no YAML", "a: [", `profile: "": the file is no YAML`},
		{"empty", "", `p.yaml:1: profile: "": write fields and their values`},
		{"two", "seed: 1\n---\nseed: 2", `p.yaml:2: profile: "": keep one document in a file`},
		{"text", "soak", `p.yaml:1: profile: "": write fields and their values`},
	} {
		_, err := ReadProfile("p.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n  %v\nwant\n  %s", c.name, err, c.want)
		}
	}
	_, err := ReadProfile("p.yaml", []byte("sessions: 0\nramp: soon\noffer: 0"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three faults are told as: %v", err)
	}
	p := Builtin(Soak)
	for set, want := range map[string]string{"sessions": "use NAME=VALUE", "speed=1": "there is no such value; use one of scenario, seed", "seed=x": "use a whole number"} {
		if err := p.Set(set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("set %s: %v, want %s", set, err, want)
		}
	}
}

func FuzzReadProfile(f *testing.F) {
	for _, name := range Scenarios() {
		p := Builtin(Scenario(name))
		f.Add([]byte(p.Text()))
	}
	f.Add([]byte("tenants:\n  - &a {name: x}\n  - *a\n"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ReadProfile("p.yaml", text)
		if err != nil {
			return
		}
		if again, err := ReadProfile("p.yaml", []byte(p.Text())); err != nil || again.Text() != p.Text() {
			t.Errorf("what is printed is not read back: %v\n%s", err, p.Text())
		}
	})
}
