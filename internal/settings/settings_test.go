// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type sample struct {
	Listen string `set:"listen" doc:"where"`
	Auth   struct {
		Mode string    `set:"mode" doc:"who" enum:"open,token"`
		Key  Reference `set:"key" doc:"the key"`
		Life int64     `set:"life_ms" doc:"how long" min:"1000" max:"5000"`
	} `set:"auth"`
	Origins []string `set:"origins" doc:"which"`
	Loud    bool     `set:"loud" doc:"noise"`
	private int
}

func (s *sample) Problems() (list []Problem) {
	if s.Loud && s.Listen == "nowhere" {
		list = append(list, Problem{"loud", "nobody hears it"})
	}
	return list
}

func fresh() *sample {
	s := &sample{Listen: "here", private: 1}
	s.Auth.Mode, s.Auth.Life = "open", 3000
	return s
}

const prefix = "PARLEY_SAMPLE__"

// Of each field the highest layer that gives it stands, whatever it gives of others, and
// says where it came from: default < file < environment < flag.
func TestPrecedence(t *testing.T) {
	s := fresh()
	l, err := Load(s, Sources{
		Name: "a.yaml", Data: []byte("listen: file\nauth:\n  mode: token\n  life_ms: 1000\norigins: [a, b]\nloud: true\n"),
		Prefix:      prefix,
		Environment: []string{prefix + "AUTH__LIFE_MS=2000", prefix + "ORIGINS=c, d", prefix + "LOUD=", "PARLEY_OTHER__X=1", "HOME=/"},
		Flags:       []Given{{"--origins", "origins", "e"}, {"--set", "listen", "first"}, {"--listen", "listen", "flag"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"listen flag flag --listen", "auth.mode token file a.yaml:3:9", "auth.key  default ", "auth.life_ms 2000 environment " + prefix + "AUTH__LIFE_MS",
		"origins e flag --origins", "loud true file a.yaml:6:7",
	}
	for i, v := range l.Values() {
		if got := v.Path + " " + v.Text + " " + string(v.Source.Layer) + " " + v.Source.String(); got != want[i] {
			t.Errorf("got  %q\nwant %q", got, want[i])
		}
	}
	if s.Listen != "flag" || s.Auth.Life != 2000 || len(s.Origins) != 1 || !s.Loud || s.private != 1 {
		t.Errorf("in force: %+v", s)
	}
}

// Every fault at once, each with its place, field, value and remedy.
func TestFaults(t *testing.T) {
	s := fresh()
	_, err := Load(s, Sources{
		Name: "a.yaml", Prefix: prefix,
		Data: []byte("listne: x\nauth:\n  mod: token\n  mode: closed\n  key: hunter2\n  life_ms: 1e3\n  mode: open\norigins: {a: 1}\n" +
			"loud: yes\nquite: {different: 1}\nauth.life_ms: 3\n"),
		Environment: []string{prefix + "AUTH=x", prefix + "LOUD=1", prefix + "AUTH__KEY=hunter2"},
		Flags:       []Given{{"--set", "auth.life_ms", "99"}, {"--set", "life_ms", "99"}},
	})
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("%v", err)
	}
	want := []string{
		"a.yaml:1:1: listne: there is no such setting: did you mean listen?",
		"a.yaml:3:3: auth.mod: there is no such setting: did you mean auth.mode?",
		`a.yaml:4:9: auth.mode: "closed": use one of open, token`,
		"a.yaml:5:8: auth.key: use a reference, env://NAME or file://PATH; a secret is not written into a configuration",
		`a.yaml:6:12: auth.life_ms: "1e3": use a whole number, 1000 to 5000`,
		"a.yaml:7:3: auth.mode: it is set twice: keep one of them",
		"a.yaml:8:10: origins: give a list",
		`a.yaml:9:7: loud: "yes": use true or false`,
		"a.yaml:10:1: quite: there is no such setting: parley config print lists them",
		`a.yaml:11:15: auth.life_ms: "3": use a whole number, 1000 to 5000`,
		prefix + "AUTH: auth: this is a section: name a field of it, such as auth.mode",
		prefix + "AUTH__KEY: auth.key: use a reference, env://NAME or file://PATH; a secret is not written into a configuration",
		prefix + `LOUD: loud: "1": use true or false`,
		`--set: auth.life_ms: "99": use a whole number, 1000 to 5000`,
		"--set: life_ms: there is no such setting: did you mean auth.life_ms?",
	}
	for i, f := range refused.Faults {
		if i >= len(want) || f.String() != want[i] {
			t.Errorf("got  %s", f)
		}
	}
	if len(refused.Faults) != len(want) {
		t.Errorf("%d faults, want %d:\n%s", len(refused.Faults), len(want), strings.Join(want, "\n"))
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("a fault shows a secret")
	}
}

// A contradiction is told at the place of the value that is to change.
func TestProblems(t *testing.T) {
	_, err := Load(fresh(), Sources{Name: "a.yaml", Data: []byte("loud: true"), Flags: []Given{{"--listen", "listen", "nowhere"}}})
	if err == nil || !strings.Contains(err.Error(), "a.yaml:1:7: loud: nobody hears it") {
		t.Error(err)
	}
}

// What YAML can say in two ways is not read.
func TestYAML(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		"# nothing\n":                           "",
		"listen:\nauth:\n":                      "",
		"listen: 8080":                          "",
		"origins: a, b":                         "",
		"[a]":                                   "the file holds no settings",
		"listen: [a, b]":                        "give one value",
		"listen: &x a":                          "anchors, aliases and tags",
		"listen: !!str a":                       "anchors, aliases and tags",
		"<<: {listen: a}":                       "plain text",
		"listen: a\n---\nlisten: b":             "a second document",
		"listen: {":                             "no YAML",
		"\tlisten: a":                           "no YAML",
		"auth: {mode: {deeper: {still: 1}}}":    "give open, token",
		strings.Repeat("a", MaxFileBytes+1):     "more than",
		"auth: {mode: open, mode: token}":       "twice",
		"x: " + strings.Repeat("[", 20) + "]]]": "no YAML",
	} {
		_, err := Load(fresh(), Sources{Name: "a.yaml", Data: []byte(text)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// A reference leads to a variable or a file, and errors show what it is and not what it
// leads to.
func TestReference(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file://" + path
	}
	getenv := func(name string) string { return map[string]string{"KEY": "hunter2"}[name] }
	for ref, want := range map[string]string{
		"env://KEY": "hunter2", write("key", "hunter3\r\n"): "hunter3", "env://OTHER": "", write("empty", "\n"): "", "file://" + dir: "",
		"file://" + filepath.Join(dir, "missing"): "", "": "", write("large", strings.Repeat("x", maxSecretBytes+1)): "",
	} {
		got, err := Reference(ref).Resolve(getenv)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q leads to %.20q, %v", ref, got, err)
		}
		if err != nil && ref != "" && !strings.Contains(err.Error(), ref) {
			t.Errorf("%v does not say which", err)
		}
	}
	for ref, valid := range map[Reference]bool{"": true, "env://A": true, "file://x": true, "env://": false, "A": false, "https://x": false} {
		if ref.Valid() != valid {
			t.Errorf("%q: %v", ref, !valid)
		}
	}
}

// A path=value of the command line.
func TestSet(t *testing.T) {
	if g, err := Set("--set", "auth.mode=a=b"); err != nil || g != (Given{"--set", "auth.mode", "a=b"}) {
		t.Errorf("%+v, %v", g, err)
	}
	for _, text := range []string{"auth.mode", "=x", ""} {
		if _, err := Set("--set", text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Whatever the file is, the answer is settings or faults.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"listen: a\nauth: {mode: token}\n", "a: [", "- x", "auth:\n  key: env://X", "\x00", "? a\n: b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Load(fresh(), Sources{Name: "f", Data: data})
		var refused *RefusedError
		if err != nil && (!errors.As(err, &refused) || len(refused.Faults) == 0) || err == nil && len(l.Values()) != 6 {
			t.Fatalf("%v", err)
		}
	})
}
