// SPDX-License-Identifier: Apache-2.0

//go:build !race

package embedded

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/engines/enginestest"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider"
)

// The demo may take 300 MB; the engines leave it half of that.
const maxEngineMegabytes = 150

// TestEnginesLeaveRoomForTheDemo runs itself in a process of its own, which loads one
// recogniser, one synthesiser and the VAD, uses them, and prints its peak.
func TestEnginesLeaveRoomForTheDemo(t *testing.T) {
	const variable = "PARLEY_TEST_MEMORY"
	if os.Getenv(variable) != "" {
		useEngines(t)
		t.Logf("peak %d MB", peakMegabytes(t))
		return
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run", "^"+t.Name()+"$")
	command.Env = append(os.Environ(), variable+"=1")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, rest, _ := strings.Cut(string(out), "peak ")
	text, _, _ := strings.Cut(rest, " MB")
	peak, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("no peak in %q", out)
	}
	if peak > maxEngineMegabytes {
		t.Errorf("the engines take %d MB, at most %d are wanted", peak, maxEngineMegabytes)
	}
}

func useEngines(t *testing.T) {
	t.Helper()
	onnx, err := os.ReadFile(enginestest.Set(t).VAD())
	if err != nil {
		t.Fatal(err)
	}
	network, err := vad.NewSilero(onnx)
	if err != nil {
		t.Fatal(err)
	}
	f, p := newFlite(t, 1), newPocketSphinx(t, 1)
	detector := network.NewDetector()
	for range 3 {
		pcm := say(t, f, provider.Speech{Text: "Would you like me to send a confirmation by text message? I can do that for you."}).pcm
		if h := hear(t, p, "caller", pcm, 320); h.text == "" {
			t.Error("nothing was heard")
		}
		for ; len(pcm) >= vad.FrameSamples; pcm = pcm[vad.FrameSamples:] {
			detector.Probability((*[vad.FrameSamples]int16)(pcm))
		}
	}
}

// peakMegabytes is the most memory that this process ever held, as Linux counts it.
func peakMegabytes(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kilobytes, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes >> 10
		}
	}
	t.Fatal("no VmHWM in /proc/self/status")
	return 0
}
