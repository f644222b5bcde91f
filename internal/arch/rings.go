// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"slices"
	"strconv"
	"strings"
)

// ring says what the packages below one folder may import of this module.
type ring struct {
	root string   // a folder; the longest root that holds a package is its ring
	may  []string // folders; "x" allows x and what is below it, "x$" only x itself
	why  string
}

// rings is the layout. A package that no ring holds is a finding, so that a new
// folder is a decision and not an accident.
func rings() []ring {
	const (
		adapter  = "an adapter could live in somebody else's repository: it sees its contract and the envelope, never the inside"
		kernel   = "the kernel replays because it sees nothing but the vocabulary and itself"
		siblings = "turn, flow, graph and gate change for different reasons; only session knows them all"
		leaf     = "it is a tool that several rings use, so it may lean on none of them"
	)
	return []ring{
		{".", []string{"api", "node$", "provider$", "transport$", "internal"}, "the facade wires the inside; which adapters there are is the user's list, or cmd's"},
		{"api", []string{"api"}, "the vocabulary is what everybody may import, so it imports nobody"},
		{"provider", nil, "the provider contract is the smallest thing a vendor adapter can be written against"},
		{"provider/", []string{"provider$"}, adapter},
		{"node", []string{"api/eventabi"}, "the node contract speaks in envelopes and nothing else of ours"},
		{"node/", []string{"node$", "api/eventabi"}, adapter},
		{"tool/", []string{"provider$", "tool/mcptool$"}, adapter + "; what a model may call is of the provider's contract"},
		{"node/wasm", []string{"node$", "node/wasm", "api/eventabi"}, adapter + "; host and guest share their interface"},
		{"node/external", []string{"node$", "node/external", "api/eventabi"}, adapter + "; host and child share their protocol"},
		{"transport", []string{"api/eventabi"}, "the transport contract speaks in envelopes and nothing else of ours"},
		{"transport/", []string{"transport$", "transport/jitter$", "transport/codec$", "transport/feed$", "transport/outbox$", "transport/socket$", "api/eventabi"}, adapter + "; the tools that all adapters need are part of what they see"},
		{"transport/websocket", []string{"transport$", "transport/codec$", "transport/feed$", "transport/outbox$", "api/eventabi", "api/wire$"}, adapter + "; it shares its messages with the client"},
		{"transport/livekit", []string{"transport$", "transport/jitter$", "transport/codec$", "transport/outbox$", "transport/livekit", "api/eventabi"}, adapter + "; its server for tests shares its messages"},
		{"client", []string{"api"}, "a client is a program of its own: it shares the messages with the server, and nothing else"},
		{"clients", nil, "a client in another language is files; what serves them knows no more"},
		{"sdk", nil, "an SDK in another language is files; what is held to the tree are its tests"},
		{"internal/kernel/timebase", []string{"api"}, kernel},
		{"internal/kernel/turn", []string{"api", "internal/kernel/timebase"}, siblings},
		{"internal/kernel/flow", []string{"api", "internal/kernel/timebase"}, siblings},
		{"internal/kernel/graph", []string{"api", "internal/kernel/timebase"}, siblings},
		{"internal/kernel/gate", []string{"api", "internal/kernel/timebase"}, siblings},
		{"internal/kernel/session", []string{"api", "internal/kernel"}, kernel},
		{"internal/controlplane", []string{"api", "internal/kernel", "internal/controlplane"}, "what is decided before a session begins is decided without a shell, and handed to it as values"},
		{"internal/runtime", []string{"api", "internal/kernel", "internal/runtime", "node$", "provider$", "transport$"}, "the shell performs what the kernel decided, through contracts; recorders and adapters are handed to it"},
		{"internal/observability", []string{"api", "internal/kernel", "internal/observability"}, "a recording is read by the kernel alone: what replays must not need the shell that recorded it"},
		{"internal/simulation", []string{"api", "node$", "provider$", "transport$", "internal/kernel", "internal/observability", "internal/runtime"}, "the simulated world drives the real kernel and the real shell, never an adapter"},
		{"internal/report", []string{"api", "internal/kernel", "internal/observability", "internal/audio"}, "a report is made from a recording, not from a live session"},
		{"internal/console", nil, leaf},
		{"internal/demo", []string{".", "api", "internal", "node$", "provider$", "transport$"}, "the demo is a user of the facade that also looks inside, to show it; cmd hands it its adapters"},
		{"internal/talk", []string{".", "api", "client$", "internal", "transport$"}, "a conversation at a terminal is a client's, also where the agent is in this process; cmd hands it the transport"},
		{"internal/bench", []string{".", "api", "internal", "node", "provider$", "provider/providertest", "transport$"}, "what is measured is the inside itself"},
		{"internal/load", []string{".", "api", "internal", "node", "provider$", "transport$"}, "a crowd is a user of the host itself; it brings engines and transports of its own"},
		{"internal/serve", []string{".", "api", "internal", "transport$"}, "the server is a user of the facade that also looks inside, to show it; cmd hands it its adapters"},
		{"internal/page", []string{"clients/typescript"}, "the page is files; what serves them is not its concern"},
		{"internal/equivalence", nil, "it is tests alone, which may reach everything"},
		{"internal/settings", nil, leaf},
		{"internal/drawing", nil, leaf},
		{"internal/audio", nil, leaf},
		{"internal/engines", []string{"internal/engines", "internal/audio"}, leaf},
		{"internal/voices", []string{"internal/audio"}, leaf},
		{"internal/thirdparty", []string{".", "api", "internal", "node", "provider", "transport$"}, "the world that it gives to other people's clients is Parley itself, with engines of the tests"},
		{"internal/arch", nil, "what judges the tree must not depend on it"},
		{"cli", []string{".", "api", "client$", "internal", "node", "provider", "tool", "transport"}, "the commands list their adapters, one of them is a client; programs with nodes of their own take them from here"},
		{"cmd", []string{"cli"}, "a command is its command line, and nothing imports it"},
		{"examples", []string{".", "api", "node", "provider", "tool", "transport"}, "an example shows what a user can do, and a user cannot import the inside"},
	}
}

// ringOf finds the ring with the longest root. A root that ends in a slash holds what
// is below a folder and not the folder; the facade's ring holds the root alone.
func ringOf(dir string) (ring, bool) {
	var best ring
	found := false
	for _, r := range rings() {
		holds := dir == r.root
		if below, ok := strings.CutSuffix(r.root, "/"); ok {
			holds = strings.HasPrefix(dir, below+"/")
		} else if r.root != "." {
			holds = within(dir, r.root)
		}
		if holds && (!found || len(r.root) > len(best.root)) {
			best, found = r, true
		}
	}
	return best, found
}

// allows says whether a package in from, which this ring holds, may import dir.
func (r ring) allows(from, dir string) bool {
	if strings.HasSuffix(r.root, "/") && within(dir, from) {
		return true // an adapter's own parts
	}
	return slices.ContainsFunc(r.may, func(may string) bool {
		if exact, ok := strings.CutSuffix(may, "$"); ok {
			return dir == exact
		}
		if may == "." {
			return dir == "."
		}
		return within(dir, may)
	})
}

// apiStandard is the whole standard library that the vocabulary may see.
func apiStandard() []string {
	return append(kernelStandard(), "bytes", "embed", "encoding/json")
}

// protobufWire reads and writes the wire format of Protocol Buffers, from bytes to bytes. The
// messages of clients need it, which the kernel does not see.
const protobufWire = "google.golang.org/protobuf/encoding/protowire"

// kernelStandard is the whole standard library that the kernel may see: nothing in
// it can answer differently twice. Of time only types and constants (see purity.go).
func kernelStandard() []string {
	return []string{
		"cmp", "crypto/sha256", "encoding/binary", "encoding/hex", "errors", "fmt", "hash", "iter", "maps", "math", "math/bits",
		"slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
	}
}

func ringChecks() []Check {
	return []Check{
		{"rings", "an import against the arrows turns two layers into one", checkRings},
		{"standard", "what the kernel cannot import it cannot depend on by accident", checkStandard},
	}
}

// imports calls visit for each import of the package's own files; tests may reach further.
func (t *Tree) imports(p *Package, visit func(path, where string)) {
	for _, f := range p.Files {
		if f.Test {
			continue
		}
		for _, spec := range f.Syntax.Imports {
			if name, err := strconv.Unquote(spec.Path.Value); err == nil {
				visit(name, t.at(spec))
			}
		}
	}
}

func checkRings(t *Tree) (found []Finding) {
	for _, p := range t.Packages {
		r, ok := ringOf(p.Dir)
		if !ok {
			found = append(found, Finding{p.Dir, "no ring says what this package may import; add it to rings() with its reason"})
			continue
		}
		t.imports(p, func(path, where string) {
			dir, ours := t.local(path)
			if !ours || dir == p.Dir || r.allows(p.Dir, dir) {
				return
			}
			found = append(found, Finding{where, p.Dir + " must not import " + dir + ": " + r.why})
		})
	}
	return found
}

func checkStandard(t *Tree) (found []Finding) {
	for _, p := range t.Packages {
		var allowed []string
		switch {
		case within(p.Dir, "internal/kernel"):
			allowed = kernelStandard()
		case p.Dir == "api/wire":
			allowed = append(apiStandard(), protobufWire)
		case within(p.Dir, "api"):
			allowed = apiStandard()
		default:
			continue
		}
		t.imports(p, func(path, where string) {
			if _, ours := t.local(path); !ours && !slices.Contains(allowed, path) {
				found = append(found, Finding{where, p.Dir + " must not import " + path + ", which is not on its short list"})
			}
		})
	}
	return found
}
