// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/audio"
	"github.com/parley-voice/parley/internal/page/pagetest"
	"github.com/parley-voice/parley/internal/voices"
)

var (
	pageRuns     = flag.Int("page.interruptions", 1, "interruptions that TestPageTalks waits for and measures")
	pagePictures = flag.String("page.pictures", "", "`FOLDER` that the page's tests keep pictures in")
)

// microphone writes a WAV of people who speak, each with silence before.
func microphone(t *testing.T, parts ...any) string {
	t.Helper()
	var pcm []int16
	for _, p := range parts {
		switch p := p.(type) {
		case time.Duration:
			pcm = append(pcm, make([]int16, p.Milliseconds()*audio.Rate/1000)...)
		case string:
			v, err := voices.Lookup(p)
			if err != nil {
				t.Fatal(err)
			}
			clip, err := v.Clip()
			if err != nil {
				t.Fatal(err)
			}
			pcm = append(pcm, clip.PCM...)
		}
	}
	path := filepath.Join(t.TempDir(), "microphone.wav")
	w, err := audio.CreateWAV(path, audio.Rate)
	if err == nil {
		err = errors.Join(w.Write(pcm, pcm), w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// picture keeps what is seen, when somebody wants to look.
func picture(t *testing.T, b *pagetest.Browser, name string) {
	t.Helper()
	if *pagePictures == "" {
		return
	}
	if err := os.MkdirAll(*pagePictures, 0o750); err != nil {
		t.Fatal(err)
	}
	b.Picture(filepath.Join(*pagePictures, name+".png"))
}

const interrupted = `parley.conversation.turns.filter((t) => t.noticedBy === "voice" && t.silentAt !== undefined)`

// A person speaks to the page by microphone, is answered aloud, and interrupts. The page
// falls silent, and plays nothing of what was fenced.
func TestPageTalks(t *testing.T) {
	chromium := pagetest.Options{Microphone: microphone(t, time.Second, "young-man", 8*time.Second, "amiable-woman", 8*time.Second)}
	pagetest.Find(t)
	p := serveProcess(t, nil, "--record", t.TempDir())
	b := pagetest.Open(t, chromium)
	b.Visit(p.url + "/")
	b.Click("#connect")
	b.Await("a connection", `parley.connected`)
	b.Await("the caller's words, as they are understood", `document.querySelector("#partial .text").textContent !== "" || parley.conversation.items.some((i) => i.kind === "caller")`)
	b.Await("the caller's words, for good", `document.querySelector(".line.caller:not(.partial)")`)
	b.Await("an answer that is heard", `document.querySelector(".line.agent .word.heard")`)
	b.Await("where its time went", `document.querySelectorAll("#turns .fall li").length >= 4`)
	// Whenever the agent has finished it is asked for something long: so there is always somebody
	// to interrupt when the recording comes round.
	b.Eval(`void setInterval(() => {
		const { turns, floor } = parley.conversation;
		if (!floor.caller && !floor.agent && turns.at(-1).state !== "thinking") parley.client?.text("tell me a story");
	}, 700)`, nil)
	for n := 1; n <= *pageRuns; n++ {
		b.Await("an interruption", interrupted+`.length >= `+string(mustJSON(n)))
	}
	b.Await("where it was cut", `document.querySelector(".line.agent.cut .verdict")`)
	picture(t, b, "talking")
	var got struct {
		Leaked                      int
		Stops, Latest, Fenced, Sure []float64
		Latency                     float64
	}
	b.Eval(`(async () => {
		const turns = `+interrupted+`;
		return {
			leaked: (await parley.sound.account()).leaked,
			stops: turns.map((t) => t.silentAt - t.noticed),
			latest: turns.map((t) => t.silentBy - t.noticed),
			sure: turns.map((t) => t.silentBy + performance.timeOrigin - t.confirmedAt),
			fenced: turns.filter((t) => t.fencedAt).map((t) => t.silentBy - t.fencedAt),
			latency: parley.sound.latencyMs,
		};
	})()`, &got)
	if got.Leaked != 0 {
		t.Errorf("%d samples of a fenced output were heard", got.Leaked)
	}
	b.Click("#connect")
	b.Await("the end", `!parley.client`)
	_, body := p.get(t, "/api/sessions")
	if !strings.Contains(body, `"frames_after_fence":0`) {
		t.Error(body)
	}
	tellMeasured(t, "voice noticed in the page to silence in its worklet", got.Stops)
	tellMeasured(t, "the same, as late as it can have been", got.Latest)
	tellMeasured(t, "interruption confirmed by the server to that silence", got.Sure)
	tellMeasured(t, "fence in the page to that silence", got.Fenced)
	t.Logf("the browser says that sound takes %.0f ms more to the ear", got.Latency)
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// silentWithin is within how many milliseconds the page is to be silent, 95 times of 100.
const silentWithin = 120

// tellMeasured says what was measured; what it ought to be is for whoever reads it on a machine
// that has nothing else to do.
func tellMeasured(t *testing.T, what string, ms []float64) {
	t.Helper()
	if len(ms) == 0 {
		t.Logf("%s: nothing was measured", what)
		return
	}
	slices.Sort(ms)
	at := func(q float64) float64 { return ms[min(len(ms)-1, int(q*float64(len(ms))))] }
	verdict := "met"
	if at(0.95) > silentWithin {
		verdict = "MISSED"
	}
	t.Logf("%s, %d times (less than 0: it was silent before): p50 %.0f ms, p95 %.0f ms of %d ms at most: %s, longest %.0f ms",
		what, len(ms), at(0.5), at(0.95), silentWithin, verdict, ms[len(ms)-1])
}
