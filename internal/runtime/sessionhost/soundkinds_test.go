// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external"
	"github.com/parley-voice/parley/node/external/child"
	"github.com/parley-voice/parley/node/external/protocol"
	"github.com/parley-voice/parley/node/external/sandbox"
	"github.com/parley-voice/parley/node/noisegate"
	"github.com/parley-voice/parley/node/wasm"
)

// childNodes are the nodes that a child of these tests can be.
func childNodes() map[string]node.Kind {
	return map[string]node.Kind{
		"soft": soundNode("soft", false, halved),
		"mortal": soundNode("mortal", false, func(ctx *node.Context, ev *node.Event) error {
			if ev.Sample >= 4800 { // 300 ms
				go panic("of a test") // which nobody recovers: the process dies
				select {}
			}
			return halved(ctx, ev)
		}),
	}
}

func childProgram(what, name string) error {
	switch what {
	case "node-exec":
		return sandbox.Exec([]string{name})
	case "node-test":
		kind := childNodes()[name]
		if kind == nil {
			return fmt.Errorf("no node %q", name)
		}
		return child.Main(kind, child.Options{})
	}
	return fmt.Errorf("no program %q", what)
}

// outside makes a kind whose nodes are children of this test.
func outside(t *testing.T, name string) node.Kind {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	about, err := childNodes()[name].Describe(nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"command": self, "args": []string{"node-test", name}, "declaration": protocol.Declare(about)})
	if err != nil {
		t.Fatal(err)
	}
	k := external.New(external.Options{
		Launcher: []string{self, "node-exec"}, Backoff: time.Millisecond, BackoffMax: 10 * time.Millisecond,
		Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { k.Close() })
	return given{k, config}
}

// given is a kind that is told the same whatever the graph says.
type given struct {
	node.Kind
	config json.RawMessage
}

func (g given) Describe(json.RawMessage) (node.Declaration, error) { return g.Kind.Describe(g.config) }
func (g given) New(json.RawMessage) (node.Node, error)             { return g.Kind.New(g.config) }

// sandboxed is the gate of the examples: it mutes what stays quiet.
func sandboxed(t *testing.T) node.Kind {
	t.Helper()
	k := wasm.New(wasm.Options{})
	t.Cleanup(func() { k.Close() })
	const file = "../../../examples/wasm/gate/gate.wasm"
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"module": file, "sha256": fmt.Sprintf("%x", sha256.Sum256(code))})
	if err != nil {
		t.Fatal(err)
	}
	return given{k, config}
}

// A node in a process of its own, a guest in a sandbox and one in the process: the same place, the
// same sound, the same decisions in the replay. Virtual time waits for the process.
func TestSoundGoesThroughEveryKindOfNode(t *testing.T) {
	for name, c := range map[string]struct {
		kind   node.Kind
		levels []int16
	}{
		"external": {outside(t, "soft"), []int16{0, 2500, 0}},
		"wasm":     {sandboxed(t), []int16{0, 5000, 0}},
		"built in": {noisegate.Kind(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig("sound")
			heard := withSound(t, r, map[string]node.Kind{"x": c.kind}, "x")
			p := &parrot{machine: session.New(), t: t}
			r.settings.Recorder = p
			s := virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
			got := heard.levels()
			if c.levels == nil { // a ramp where it opens and closes
				if !slices.Contains(got, 5000) || len(got) < 5 || got[len(got)-1] != 0 {
					t.Errorf("the recogniser heard levels %d", got)
				}
			} else if !slices.Equal(got, c.levels) {
				t.Errorf("the recogniser heard levels %d, want %d\n%s", got, c.levels, r.log)
			}
			if st := s.Stats(); r.log.count("emit commit turn=t1") != 1 || st.NodeFailures != 0 || st.SamplesLost != 0 || r.log.count("node_spent") != 0 {
				t.Errorf("%+v\n%s", st, r.log)
			}
			if p.digest.Sum() != s.Stats().Digest {
				t.Errorf("the replay of %d decisions has another digest", p.decisions)
			}
		})
	}
}

// A process that dies takes its node with it, and the caller is heard on.
func TestProcessInSoundDies(t *testing.T) {
	h, err := New(Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig("sound")
	heard := withSound(t, r, map[string]node.Kind{"mortal": outside(t, "mortal")}, "mortal")
	s := open(t, h, r)
	c := speaking([2]int64{0, 600_000})
	end := time.Now().Add(time.Minute)
	for done := false; !done; {
		if time.Now().After(end) {
			t.Fatalf("not within a minute\n%s", r.log)
		}
		s.Ingress().Audio(-1, c.next())
		time.Sleep(20 * time.Millisecond)
		levels := heard.levels()
		done = r.log.count("emit degrade", "capability_lost:mortal") == 1 && len(levels) > 0 && levels[len(levels)-1] == 5000
	}
	if r.log.count("detour node=mortal") != 1 || s.Stats().NodeFailures != 1 {
		t.Errorf("%+v\n%s", s.Stats(), r.log)
	}
	s.Close("test_over")
	<-s.Done()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
}
