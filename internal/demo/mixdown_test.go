// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// ramp is n samples, each of another value.
func ramp(from, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(from + i)
	}
	return pcm
}

func TestMixdownSeams(t *testing.T) {
	for _, c := range []struct {
		name   string
		second int64 // where the second frame is said to begin; the first ends at 320
		want   []int16
	}{
		{"to the sample", 320, ramp(1, 640)},
		{"a little late, by jitter", 320 + seam - 1, ramp(1, 640)},
		{"a little early, by jitter", 300, ramp(1, 640)},
		{"after a pause", 320 + seam, slices.Concat(ramp(1, 320), make([]int16, seam), ramp(321, 320))},
	} {
		var m Mixdown
		m.Add(1, 0, ramp(1, 320))
		m.Add(1, c.second, ramp(321, 320))
		caller, agent := m.Tracks()
		if !slices.Equal(agent, c.want) {
			t.Errorf("%s: %d samples, want %d, or others than those", c.name, len(agent), len(c.want))
		}
		if len(caller) != len(agent) || slices.ContainsFunc(caller, func(v int16) bool { return v != 0 }) {
			t.Errorf("%s: who said nothing has %d samples of sound, want %d of silence", c.name, len(caller), len(agent))
		}
	}
}

func TestMixdownWAV(t *testing.T) {
	var m Mixdown
	m.Add(0, 0, ramp(100, 320))
	m.Add(1, 960, ramp(-200, 160))
	path := filepath.Join(t.TempDir(), "call.wav")
	if err := m.WriteWAV(path); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const header = 44
	if len(file) != header+4*1120 || !bytes.HasPrefix(file, []byte("RIFF")) {
		t.Fatalf("%d bytes", len(file))
	}
	at := func(sample, channel int) int16 {
		return int16(binary.LittleEndian.Uint16(file[header+4*sample+2*channel:]))
	}
	if at(0, 0) != 100 || at(319, 0) != 419 || at(320, 0) != 0 || at(959, 1) != 0 || at(960, 1) != -200 || at(1119, 1) != -41 {
		t.Error("left is not the caller, or right not the agent, each in its place")
	}
}

func TestMixdownSaysWhatItCannotWrite(t *testing.T) {
	var m Mixdown
	m.Add(0, 0, ramp(0, 320))
	if err := m.WriteWAV(filepath.Join(t.TempDir(), "nowhere", "call.wav")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
