// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
)

// Bounds of what a hostile node does, whatever becomes of it.
const (
	MaxProcesses = 48
	MaxMemoryMB  = 256
	Life         = 20 * time.Second
)

// Act is one way to be hostile.
type Act struct {
	Name string
	Does string // in words
	do   func(n *nodeOf, ctx *node.Context) error
}

// Acts are all ways, and Polite, which is none.
func Acts() []Act {
	return []Act{
		{"loop", "computes for ever in on_event", loop},
		{"sleep", "sleeps in on_event, and says that it took no time", sleep},
		{"memory", fmt.Sprintf("takes memory, up to %d MB", MaxMemoryMB), memory},
		{"forks", fmt.Sprintf("starts processes, up to %d", MaxProcesses), forks},
		{"threads", "computes on four cores", threads},
		{"flood", "emits without end", flood},
		{"chatter", "writes to its output without end", chatter},
		{"garbage", "sends bytes that are no protocol", garbage},
		{"oversized", "sends a frame of 2 GB, as it says", oversized},
		{"slowloris", "sends a frame a byte at a time", slowloris},
		{"forged", "says done for events that it was not given", forged},
		{"silent", "does not read, answer or end", silent},
		{"exit", "exits in the middle of a frame", exit},
		{"files", "reads a file that it was not granted, and writes one", files},
		{"network", "connects to the network, and listens", network},
		{"signals", "kills its host", signals},
	}
}

// Polite is the act of a node that answers every frame with itself.
const Polite = "polite"

// Names lists the acts.
func Names() []string {
	var list []string
	for _, a := range Acts() {
		list = append(list, a.Name)
	}
	return list
}

func find(name string) (Act, bool) {
	at := slices.IndexFunc(Acts(), func(a Act) bool { return a.Name == name })
	if at < 0 {
		return Act{}, false
	}
	return Acts()[at], true
}

func loop(*nodeOf, *node.Context) error {
	for end := time.Now().Add(Life); time.Now().Before(end); {
		for n := range 1 << 16 {
			_ = n * n
		}
	}
	return nil
}

func sleep(*nodeOf, *node.Context) error {
	time.Sleep(Life)
	return nil
}

func memory(n *nodeOf, _ *node.Context) error {
	const step = 8 << 20
	for range MaxMemoryMB << 20 / step {
		b := make([]byte, step)
		for at := 0; at < len(b); at += 4096 {
			b[at] = 1
		}
		n.held = append(n.held, b)
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(Life)
	return nil
}

func forks(*nodeOf, *node.Context) error {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	for n := range MaxProcesses {
		c := exec.Command(self, append(slices.Clone(os.Args[1:len(os.Args)-1]), sleeper)...)
		if err := c.Start(); err != nil {
			return fmt.Errorf("process %d was refused: %w", n+1, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(Life)
	return nil
}

// sleeper is the act of a process that forks makes.
const sleeper = "sleeper"

func threads(*nodeOf, *node.Context) error {
	for range 4 {
		go func() { _ = loop(nil, nil) }()
	}
	time.Sleep(time.Millisecond)
	return nil
}

func flood(_ *nodeOf, ctx *node.Context) error {
	go func() {
		ev := node.Event{Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, PCM: make([]int16, 16*node.FrameSamples)}
		for end := time.Now().Add(Life); time.Now().Before(end); {
			ctx.Emit(&ev)
		}
	}()
	return nil
}

func chatter(*nodeOf, *node.Context) error {
	for end := time.Now().Add(Life); time.Now().Before(end); {
		fmt.Fprintln(os.Stderr, "and another thing: it is not that I had anything to say, but that I can")
	}
	return nil
}

func garbage(n *nodeOf, _ *node.Context) error {
	_, err := n.raw.Write([]byte("GET / HTTP/1.1\r\nHost: parley\r\n\r\n"))
	return err
}

func oversized(n *nodeOf, _ *node.Context) error {
	_, err := n.raw.Write(binary.BigEndian.AppendUint32(nil, 1<<31))
	return err
}

func slowloris(n *nodeOf, _ *node.Context) error {
	n.raw.drips.Store(true)
	return nil
}

// drip sends a frame that never ends.
func drip(to net.Conn) {
	b := binary.BigEndian.AppendUint32(nil, 1000)
	b = append(b, protocol.KindJSON, '{')
	for end := time.Now().Add(Life); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, err := to.Write(b[:1]); err != nil {
			return
		}
		if b = b[1:]; len(b) == 0 {
			b = []byte{' '}
		}
	}
}

func forged(n *nodeOf, _ *node.Context) error {
	var b []byte
	for instance := range uint32(8) {
		b = protocol.AppendDone(b, protocol.Done{Instance: 1 + instance, Sequence: 1 << 40})
	}
	_, err := n.raw.Write(b)
	return err
}

func silent(n *nodeOf, _ *node.Context) error {
	n.raw.deaf.Store(true)
	time.Sleep(Life)
	return nil
}

func exit(n *nodeOf, _ *node.Context) error {
	_, _ = n.raw.Write(binary.BigEndian.AppendUint32(nil, 1000))
	_, _ = n.raw.Write([]byte(`J{"type":"em`))
	debug.SetTraceback("none")
	go panic("that is all")
	select {}
}

func files(*nodeOf, *node.Context) error {
	var faults []error
	if _, err := os.ReadFile("/etc/passwd"); err != nil {
		faults = append(faults, err)
	}
	f, err := os.CreateTemp("", "hostile-")
	if err == nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
	} else {
		faults = append(faults, err)
	}
	if len(faults) == 2 {
		return fmt.Errorf("refused: %w", errors.Join(faults...))
	}
	return errors.New("it was let")
}

func network(*nodeOf, *node.Context) error {
	var faults []error
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err != nil {
		faults = append(faults, err)
	} else {
		_ = l.Close()
	}
	if c, err := net.Dial("udp", "127.0.0.1:9"); err != nil {
		faults = append(faults, err)
	} else {
		_ = c.Close()
	}
	if len(faults) == 2 {
		return fmt.Errorf("refused: %w", errors.Join(faults...))
	}
	return errors.New("it was let")
}
