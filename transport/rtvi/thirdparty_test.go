// SPDX-License-Identifier: Apache-2.0

package rtvi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/audio"
	"github.com/parley-voice/parley/internal/thirdparty"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/rtvi"
)

// programs is where those lie that use Pipecat's own packages, as they are published, at the
// versions that their lock files name.
const programs = "../../clients/thirdparty/rtvi"

// world is Parley itself behind a server, with a page.
func world(t *testing.T, page string, llm provider.LLM) (url string, w *thirdparty.World, results <-chan string) {
	t.Helper()
	var s *rtvi.Server
	came := make(chan string, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/rtvi/", func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r) })
	mux.HandleFunc("/talk.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, page) })
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><script type="module" src="talk.js"></script>`)
	})
	mux.HandleFunc("POST /result", func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(io.LimitReader(r.Body, 1<<22))
		select {
		case came <- string(text):
		default:
		}
	})
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	w = thirdparty.NewWorld(t, llm) // it ends before the server
	var err error
	if s, err = rtvi.New(rtvi.Config{}, w.Host); err != nil {
		t.Fatal(err)
	}
	return web.URL, w, came
}

// recording writes sound as a file.
func recording(t *testing.T, file string, pcm []int16) {
	t.Helper()
	w, err := audio.CreateWAV(file, transport.SampleRate)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(pcm, pcm), w.Close()); err != nil {
		t.Fatal(err)
	}
}

// pause is silence.
func pause(d time.Duration) []int16 { return make([]int16, int(d.Seconds()*transport.SampleRate)) }

// Pipecat's web client, in a browser: a question, an answer that is cut short by speech, and
// the answer to what cut it short.
func TestPipecatBrowser(t *testing.T) {
	chromium := thirdparty.Browser(t)
	dir := thirdparty.Install(t, thirdparty.Node(programs))
	page := filepath.Join(t.TempDir(), "talk.js")
	bundle := exec.CommandContext(t.Context(), filepath.Join(dir, "node_modules", ".bin", "esbuild"), "talk.mjs", "--bundle", "--format=esm", "--outfile="+page)
	bundle.Dir = dir
	if out, err := bundle.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	url, w, results := world(t, page, nil)
	microphone := filepath.Join(t.TempDir(), "microphone.wav")
	recording(t, microphone, slices.Concat(pause(time.Second), thirdparty.Voice(t, "young-man"), pause(4*time.Second),
		thirdparty.Voice(t, "amiable-woman"), pause(90*time.Second)))
	profile, err := os.MkdirTemp("", "parley-chromium-") //nolint:usetesting // its processes write when it is gone, which TempDir takes for a fault
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+profile,
		"--no-first-run", "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
		"--use-fake-device-for-media-stream", "--use-file-for-fake-audio-capture="+microphone+"%noloop",
		"--remote-debugging-port=0", url+"/?token="+thirdparty.Token)
	run.WaitDelay = 10 * time.Second
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = run.Wait()
	}()
	var text string
	select {
	case text = <-results:
	case <-ctx.Done():
		t.Fatalf("the page has not answered; record: %q", w.Record())
	}
	var saw struct {
		Error string
		Log   []note
	}
	if err := json.Unmarshal([]byte(text), &saw); err != nil {
		t.Fatal(err)
	}
	if saw.Error != "" {
		t.Fatalf("%s\n%v", saw.Error, names(saw.Log))
	}
	checkPage(t, saw.Log)
	got := w.Record()
	if len(got) < 4 || got[0] != "user: "+thirdparty.Ask || !strings.HasPrefix(got[1], "interrupted assistant: Once") ||
		got[2] != "user: "+thirdparty.Cut || got[3] != "assistant: "+thirdparty.Noon {
		t.Errorf("the record is %q", got)
	}
}

// note is what a page has seen.
type note struct {
	At   int // ms
	Kind string
	Data any
}

func names(log []note) (list []string) {
	for _, n := range log {
		if n.Kind != "sound" {
			list = append(list, n.Kind)
		}
	}
	return list
}

// checkPage looks at what the client saw.
func checkPage(t *testing.T, log []note) {
	t.Helper()
	find := func(kind string, from int) int {
		for i := from; i < len(log); i++ {
			if log[i].Kind == kind {
				return i
			}
		}
		t.Fatalf("no %s came; came: %v", kind, names(log))
		return -1
	}
	at := 0
	for _, kind := range []string{
		"bot-started", "bot-ready", "user-started", "user-stopped", "llm-started", "bot-speaks", "sound", "loud",
		"user-started", "bot-silent", "user-stopped", "llm-started", "bot-speaks", "sound", "bot-silent", "response",
	} {
		at = find(kind, at) + 1
	}
	// The second user-started is the interruption: what is heard then ends soon, and no sound
	// comes before the next answer speaks.
	cut := find("user-started", find("bot-speaks", 0))
	next := find("bot-speaks", cut)
	// The client reads its messages from blobs, each in its own time: what came shortly before may
	// be handed on shortly after. TestTurns looks at the order on the wire.
	told := find("bot-silent", cut)
	for _, n := range log[told:next] {
		if n.Kind == "sound" && n.At > log[told].At+500 {
			t.Errorf("sound of the answer that was cut off, %d ms behind it", n.At-log[cut].At)
		}
	}
	silent := cut
	for i := cut; i < next; i++ {
		if log[i].Kind == "silent" {
			silent = i
		}
	}
	gaps := 0
	for _, n := range log[find("loud", 0):cut] {
		if n.Kind == "silent" {
			gaps++
		}
	}
	t.Logf("the page fell silent %d ms after it was told; %d pauses in what it heard before", log[silent].At-log[cut].At, gaps)
	for _, n := range log {
		if n.Kind == "error" || n.Kind == "message-error" {
			t.Errorf("the client reports %v", n)
		}
	}
}

// answer tells the time to who asks for it, and else the story.
func answer(p provider.Prompt) string {
	if last := p.Messages[len(p.Messages)-1]; strings.Contains(strings.ToLower(last.Text), "time is it") {
		return thirdparty.Noon
	}
	return thirdparty.Story
}

// Pipecat's evaluation harness, in writing and by voice.
func TestPipecatEval(t *testing.T) {
	dir := thirdparty.Install(t, thirdparty.Python(programs))
	for _, scenario := range []string{"story", "cut"} {
		t.Run(scenario, func(t *testing.T) {
			url, w, _ := world(t, "", &providertest.FakeLLM{Reply: answer})
			at := t.TempDir()
			text, err := os.ReadFile(filepath.Join(programs, scenario+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(at, scenario+".yaml"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			recording(t, filepath.Join(at, "ask.wav"), thirdparty.Voice(t, "young-man"))
			recording(t, filepath.Join(at, "cut.wav"), thirdparty.Voice(t, "amiable-woman"))
			out := thirdparty.Evaluate(t, dir, filepath.Join(at, scenario+".yaml"),
				"ws"+strings.TrimPrefix(url, "http")+"/v1/rtvi/ws?token="+thirdparty.Token)
			t.Logf("%s\nrecord: %q", out, w.Record())
		})
	}
}
