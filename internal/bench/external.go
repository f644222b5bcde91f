// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external"
	"github.com/parley-voice/parley/node/external/hostile"
	"github.com/parley-voice/parley/node/external/protocol"
)

// The parts of the case P12: a node that answers each frame with itself, and the least that a
// process can do to send a frame back.
const (
	PartNode = "node"
	PartEcho = "echo"
)

// NodePart is the program of the node.
func NodePart() error { return hostile.Run(hostile.Polite) }

// EchoPart sends back each frame, a length and as many bytes, that comes over the socket on
// descriptor 3.
func EchoPart() error {
	file := os.NewFile(3, "host")
	conn, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		return err
	}
	b := make([]byte, 4+protocol.MaxFrame)
	for {
		if _, err := io.ReadFull(conn, b[:4]); err != nil {
			return nil //nolint:nilerr // the host has gone
		}
		n := 4 + int(min(binary.BigEndian.Uint32(b), protocol.MaxFrame))
		if _, err := io.ReadFull(conn, b[4:n]); err != nil {
			return nil //nolint:nilerr // the host has gone
		}
		if _, err := conn.Write(b[:n]); err != nil {
			return nil //nolint:nilerr // the host has gone
		}
	}
}

const (
	leastTrips = 100
	tripPace   = 20 * time.Millisecond // a frame
)

// outside is the case of a frame of 20 ms through a node in a process of its own, at the pace of
// speech, against a bare framed echo over a unix socket at the same pace.
func outside(o Options) (r Result, err error) {
	r = Result{
		ID: "P12", Subject: "external node: round trip of a 20 ms frame, p50", Denominator: "bare framed unix-socket echo, p50",
		Unit: "ns", Limit: 2, Target: "<= 2x",
	}
	if o.Part == nil {
		return r, errors.New("bench: there is no program to run the node as")
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	bare, end, err := bareEcho(o.Part(ctx, PartEcho, "1"))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, end()) }()
	k := external.New(external.Options{Launcher: o.Launcher})
	defer func() { err = errors.Join(err, k.Close()) }()
	through, err := throughNode(k, o.Part(ctx, PartNode, "1"))
	if err != nil {
		return r, err
	}
	var fault error
	var bares, nodes []time.Duration // p99 of each run
	measure := func(trip func() (time.Duration, error), tails *[]time.Duration) func() float64 {
		return func() float64 {
			list, err := trips(trip, max(leastTrips, int(o.Each/tripPace)))
			if err != nil {
				fault = errors.Join(fault, err)
				return 1
			}
			*tails = append(*tails, percentile(list, 99))
			return float64(percentile(list, 50))
		}
	}
	r = pair(o, r, measure(bare, &bares), measure(through, &nodes))
	if fault != nil || len(bares) == 0 || len(nodes) == 0 {
		return r, fault
	}
	s := k.Status()[0]
	r.Note = fmt.Sprintf("p99 %v against %v; level %s; beside the node's own work a call took %v (p50)",
		medianOf(nodes).Round(time.Microsecond), medianOf(bares).Round(time.Microsecond), s.Level, s.OverheadP50)
	return r, nil
}

func medianOf(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// trips makes round trips at the pace of frames.
func trips(trip func() (time.Duration, error), n int) (list []time.Duration, err error) {
	for next := time.Now(); len(list) < n; next = next.Add(tripPace) {
		time.Sleep(time.Until(next))
		took, err := trip()
		if err != nil {
			return nil, err
		}
		list = append(list, took)
	}
	return list, nil
}

// bareEcho starts the echo, and gives a round trip of as many bytes as the node's frame has.
func bareEcho(cmd *exec.Cmd) (trip func() (time.Duration, error), end func() error, err error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		return nil, nil, err
	}
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	out := protocol.AppendAudio(nil, &protocol.Audio{PCM: make([]int16, node.FrameSamples)})
	in := make([]byte, len(out))
	trip = func() (time.Duration, error) {
		began := time.Now()
		if _, err := conn.Write(out); err != nil {
			return 0, fmt.Errorf("bench: the echo: %w", err)
		}
		if _, err := io.ReadFull(conn, in); err != nil {
			return 0, fmt.Errorf("bench: the echo: %w", err)
		}
		return time.Since(began), nil
	}
	return trip, func() error { return errors.Join(conn.Close(), cmd.Wait()) }, nil
}

// throughNode starts the node, and gives a round trip from OnEvent to what it emits.
func throughNode(k *external.Kind, cmd *exec.Cmd) (func() (time.Duration, error), error) {
	var config external.Config
	if err := json.Unmarshal(hostile.Config(hostile.Polite, cmd.Path), &config); err != nil {
		return nil, err
	}
	config.Args = cmd.Args[1:]
	for _, e := range cmd.Env {
		if !slices.Contains(os.Environ(), e) {
			config.Env = append(config.Env, e)
		}
	}
	raw, err := json.Marshal(&config)
	if err != nil {
		return nil, err
	}
	n, err := k.New(raw)
	if err != nil {
		return nil, err
	}
	var at atomic.Int64
	began := time.Now()
	back := make(chan struct{}, 1)
	ctx := &node.Context{
		Session: "bench", Node: "outside", Cancel: node.NewCancelToken(context.Background()), Budget: still{}, Timebase: still{}, State: still{}, Telemetry: still{},
		Out: func(*node.Event) {
			at.Store(int64(time.Since(began)))
			back <- struct{}{}
		},
	}
	if err := errors.Join(n.Init(ctx), n.Start(ctx)); err != nil {
		return nil, err
	}
	ev := node.Event{Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, PCM: make([]int16, node.FrameSamples)}
	return func() (time.Duration, error) {
		from := time.Since(began)
		if err := n.OnEvent(ctx, &ev); err != nil {
			return 0, err
		}
		select {
		case <-back:
		case <-time.After(time.Minute):
			return 0, errors.New("bench: a frame has not come back from the node")
		}
		return time.Duration(at.Load()) - from, nil
	}, nil
}
