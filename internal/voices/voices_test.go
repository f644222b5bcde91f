// SPDX-License-Identifier: Apache-2.0

package voices

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/audio"
)

func all(t *testing.T) []Voice {
	t.Helper()
	list, err := All()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Every file is the one that the list and the provenance speak of, in the
// format of the voice path, and as long as they say.
func TestRecordings(t *testing.T) {
	prov, err := Provenance()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all(t) {
		t.Run(v.ID, func(t *testing.T) {
			b, err := v.WAV()
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != v.SHA256 {
				t.Errorf("%s has SHA-256 %x, the list says %s", v.File, sum, v.SHA256)
			}
			clip, notes, err := audio.DecodeWAV(bytes.NewReader(b), v.File)
			if err != nil || len(notes) != 0 {
				t.Fatalf("notes %v, error %v: not 16 kHz mono 16-bit", notes, err)
			}
			n := len(clip.PCM)
			if n != v.Source.ToSample-v.Source.FromSample || n != v.DurationMS*audio.Rate/1000 {
				t.Errorf("%d samples; the list says %d ms, cut from %d to %d", n, v.DurationMS, v.Source.FromSample, v.Source.ToSample)
			}
			if clip.PCM[0] != 0 || clip.PCM[n-1] != 0 {
				t.Error("begins or ends with a click")
			}
			if m := audio.Envelope(clip.PCM, 1)[0]; m.RMS < 1000 || m.Max == math.MaxInt16 || m.Min == math.MinInt16 {
				t.Errorf("level %+v: too quiet or clipped", m)
			}
			row := fmt.Sprintf("| `%s` | %s | %s | %d-%d | %d | %s | `%s` |", v.ID, v.Role, shortName(v.Source.File),
				v.Source.FromSample, v.Source.ToSample, v.DurationMS, v.Transcript, v.SHA256)
			if !strings.Contains(prov, row+"\n") {
				t.Errorf("PROVENANCE.md lacks the line\n%s", row)
			}
			if !strings.Contains(prov, v.Source.SHA256) {
				t.Errorf("PROVENANCE.md lacks the source's SHA-256 %s", v.Source.SHA256)
			}
			if got, err := v.Clip(); err != nil || len(got.PCM) != n || got.Name != v.ID {
				t.Errorf("Clip: %q of %d samples, %v", got.Name, len(got.PCM), err)
			}
		})
	}
}

// shortName is how PROVENANCE.md calls a source file in its table.
func shortName(file string) string {
	file = strings.TrimSuffix(file, ".wav")
	return strings.TrimPrefix(file, "sense_and_sensibility_01_austen_64kb-")
}

// The list and the folder hold the same files, small enough for the binary.
func TestNothingElseIsEmbedded(t *testing.T) {
	listed := map[string]bool{}
	for _, v := range all(t) {
		if listed[v.File] || v.File != "recordings/"+v.ID+".wav" {
			t.Errorf("%s: file is %q", v.ID, v.File)
		}
		listed[v.File] = true
	}
	size := int64(0)
	err := fs.WalkDir(files, "recordings", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !listed[path] {
			t.Errorf("%s is not in voices.json", path)
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if size > 3<<20 {
		t.Errorf("%d bytes of recordings: keep them below 3 MiB", size)
	}
}

// What the demo needs: five turns of one voice, an interruption long enough to
// be confirmed (lifecycle section 7.1: 300 ms) and a sound too short for it.
func TestRoles(t *testing.T) {
	count := map[Role]int{}
	for _, v := range all(t) {
		count[v.Role]++
		low, high := 1500, 6000
		switch v.Role {
		case RoleBackchannel:
			low, high = 96, 279
		case RoleCaller, RoleBargeIn, RoleExtra:
		default:
			t.Errorf("%s: role is %q", v.ID, v.Role)
		}
		if v.DurationMS < low || v.DurationMS > high {
			t.Errorf("%s: %d ms, want %d to %d", v.ID, v.DurationMS, low, high)
		}
		if v.Role != RoleExtra && v.Speaker != "librivox" {
			t.Errorf("%s: the caller changes to %s", v.ID, v.Speaker)
		}
		if v.Transcript == "" || v.Heard == "" {
			t.Errorf("%s: no transcript", v.ID)
		}
	}
	if count[RoleCaller] < 5 || count[RoleBargeIn] < 1 || count[RoleBackchannel] < 1 {
		t.Errorf("roles %v: the demo needs five callers, a barge-in and a backchannel", count)
	}
}

func TestLookup(t *testing.T) {
	if v, err := Lookup("young-man"); err != nil || v.Role != RoleCaller {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := Lookup("nobody"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), `id is "nobody"`) || !strings.Contains(err.Error(), "young-man, leisure") {
		t.Errorf("unknown id: %v", err)
	}
	if _, err := (Voice{ID: "x", File: "recordings/x.wav"}).Clip(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}
