// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/observability/replay"
	"github.com/parley-voice/parley/internal/observability/timeline"
)

const segmentFile = "000001.wal"

// oneSegment reads the recording of a demo's folder.
func oneSegment(t *testing.T, out string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(out, "recording.parley", segmentFile))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// recordingOf lays the bytes of a segment into a recording's folder.
func recordingOf(t *testing.T, segment []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "call.parley")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, segmentFile), segment, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func checkReplay(t *testing.T, recording, digest string) {
	t.Helper()
	r := runParley(t, "", "replay", "--json", recording)
	var doc replay.Report
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		t.Fatalf("%v\n%s%s", err, r.out, r.errOut)
	}
	if r.code != exitOK || !doc.Identical || !doc.Whole || doc.Digest != digest || doc.Decisions == 0 {
		t.Errorf("exit code %d, %+v, want digest %s", r.code, doc, digest)
	}
	paths := []string{recording, filepath.Join(recording, segmentFile)}
	if filepath.Base(recording) == "recording.parley" { // as a demo or a server leaves it
		paths = append(paths, filepath.Dir(recording))
	}
	for _, path := range paths {
		r = runParley(t, "", "replay", path)
		if r.code != exitOK || !strings.Contains(r.out, digest) || !strings.Contains(r.out, "identical: every decision came out again") {
			t.Errorf("replay %s: exit code %d\n%s%s", path, r.code, r.out, r.errOut)
		}
	}
}

// checkDamage cuts, flips and changes a good recording. Whatever was done to it, there is
// an account and no crash.
func checkDamage(t *testing.T, recording string) {
	t.Helper()
	whole, err := os.ReadFile(filepath.Join(recording, segmentFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("cut", func(t *testing.T) { checkCut(t, whole) })
	t.Run("flipped", func(t *testing.T) { checkFlipped(t, whole) })
	t.Run("newer", func(t *testing.T) {
		newer := bytes.Clone(whole)
		binary.LittleEndian.PutUint16(newer[10:], timeline.FormatMajor+1)
		binary.LittleEndian.PutUint32(newer[84:], crc32.Checksum(newer[:84], crc32.MakeTable(crc32.Castagnoli)))
		r := runParley(t, "", "replay", recordingOf(t, newer))
		if r.code != exitUsage || !strings.Contains(r.errOut, "newer") {
			t.Errorf("exit code %d, %s", r.code, r.errOut)
		}
	})
	t.Run("changed", func(t *testing.T) { checkChanged(t, recording) })
}

// A recording that ends early is replayed as far as it goes.
func checkCut(t *testing.T, whole []byte) {
	t.Helper()
	for _, n := range []int{len(whole) - 1, len(whole) - 40, len(whole) / 2, len(whole) / 3, 1000} {
		dir := recordingOf(t, whole[:n])
		r := runParley(t, "", "replay", dir)
		if r.code != exitUsage || !strings.Contains(r.out, "NOT WHOLE") || !strings.Contains(r.out, "identical as far as the recording goes") {
			t.Errorf("cut to %d bytes: exit code %d\n%s%s", n, r.code, r.out, r.errOut)
		}
		if r = runParley(t, "", "replay", "--cut", dir); r.code != exitOK {
			t.Errorf("cut to %d bytes, which is accepted: exit code %d\n%s%s", n, r.code, r.out, r.errOut)
		}
	}
	for _, n := range []int{0, 1, 15, 40, 87} { // within the header nothing is good
		r := runParley(t, "", "replay", recordingOf(t, whole[:n]))
		if r.code != exitUsage || r.out+r.errOut == "" {
			t.Errorf("cut to %d bytes: exit code %d\n%s%s", n, r.code, r.out, r.errOut)
		}
	}
}

func checkFlipped(t *testing.T, whole []byte) {
	t.Helper()
	for i := 0; i < len(whole); i += 1 + len(whole)/150 {
		bad := bytes.Clone(whole)
		bad[i] ^= 1 << (i % 8)
		r := runParley(t, "", "replay", "--cut", recordingOf(t, bad))
		if r.code != exitUsage || !strings.Contains(r.out+r.errOut, "byte") && !strings.Contains(r.out+r.errOut, "newer") {
			t.Errorf("a bit of byte %d of %d is flipped: exit code %d\n%s%s", i, len(whole), r.code, r.out, r.errOut)
		}
	}
}

// A recording whose checksums are right and one of whose decisions is another.
func checkChanged(t *testing.T, recording string) {
	t.Helper()
	const nth = 40
	dir := filepath.Join(t.TempDir(), "changed.parley")
	original := rewriteDecision(t, recording, dir, nth)
	r := runParley(t, "", "replay", dir)
	if r.code != exitFailure || !strings.Contains(r.out, fmt.Sprintf("DIVERGENCE at decision %d,", nth)) {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	_, after, _ := strings.Cut(r.out, "DIVERGENCE")
	recorded, recomputed, context := "", "", 0
	for line := range strings.Lines(after) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "- recorded"):
			recorded = line
		case strings.HasPrefix(line, "+ recomputed"):
			recomputed = line
		case strings.Contains(line, " ms in ") || strings.Contains(line, " ms out "):
			context++
		}
	}
	if !strings.Contains(recomputed, original) || recorded == "" || strings.Contains(recorded, original) || context < 3 {
		t.Errorf("%d lines of context,\n%s\n%s\nwant the decision %s again", context, recorded, recomputed, original)
	}
	r = runParley(t, "", "replay", "--json", dir)
	var doc replay.Report
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || r.code != exitFailure || doc.Identical || doc.Divergence == nil || doc.Divergence.Decision != nth {
		t.Errorf("exit code %d, %v, %+v", r.code, err, doc)
	}
}

// rewriteDecision copies a recording and puts an Ended in the place of its nth decision.
// It gives that decision in words.
func rewriteDecision(t *testing.T, from, to string, nth int) string {
	t.Helper()
	r, err := timeline.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := timeline.Create(to, timeline.Options{Synchronous: true, Meta: r.Meta()})
	if err != nil {
		t.Fatal(err)
	}
	original := ""
	for n := 0; ; {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		payload := record.Payload
		switch record.Type {
		case timeline.TypeDecision:
			if n++; n == nth {
				e, err := session.UnmarshalEffect(payload)
				if err != nil {
					t.Fatal(err)
				}
				original = session.Format(e)
				payload = session.Marshal(nil, &session.Ended{Reason: "changed"})
			}
		case timeline.TypeMeta, timeline.TypeExport:
			continue // the writer's own
		case timeline.TypeEnd:
			end, err := timeline.DecodeEnd(payload)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Close(timeline.End{Digest: end.Digest, Reason: end.Reason}); err != nil {
				t.Fatal(err)
			}
			continue
		case timeline.TypeInput, timeline.TypePass, timeline.TypeCheckpoint, timeline.TypeText, timeline.TypeAudio, timeline.TypeGap:
		}
		if err := w.Append(record.Type, payload); err != nil {
			t.Fatal(err)
		}
	}
	return original
}

func TestReplayBadInput(t *testing.T) {
	root := t.TempDir()
	text := filepath.Join(root, "notes.parley")
	if err := os.WriteFile(text, []byte("good day"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "0 arguments given, 1 wanted"},
		{[]string{"a", "b"}, "2 arguments given"},
		{[]string{filepath.Join(root, "nowhere")}, "no such file"},
		{[]string{text}, "notes.parley"},
		{[]string{root}, root},
		{[]string{""}, "RECORDING is empty"},
	} {
		r := runParley(t, "", append([]string{"replay"}, c.args...)...)
		if r.code != exitUsage || r.out != "" || !strings.Contains(r.errOut, c.says) {
			t.Errorf("parley replay %q: exit code %d, output %q, error %q", c.args, r.code, r.out, r.errOut)
		}
	}
}
