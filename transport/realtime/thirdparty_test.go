// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/thirdparty"
	"github.com/parley-voice/parley/provider/scripted"
)

// programs is where those lie that use OpenAI's own libraries, as they are
// published, at the versions that their lock files name.
const programs = "../../clients/thirdparty/openai-realtime"

func withNode(t *testing.T) string {
	t.Helper()
	return thirdparty.Install(t, thirdparty.Node(programs))
}

func withPython(t *testing.T) string {
	t.Helper()
	return thirdparty.Install(t, thirdparty.Python(programs))
}

// talk runs a program against a world, and gives what it says that it has seen.
func (w *world) talk(t *testing.T, dir string, env []string, command ...string) event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Dir = dir
	c.Env = append(os.Environ(), append(env, "REALTIME_URL="+w.url, "REALTIME_HTTPS="+w.https, "NODE_EXTRA_CA_CERTS="+w.cert,
		"REALTIME_TOKEN="+token, "OPENAI_API_KEY="+token, "OPENAI_AGENTS_DISABLE_TRACING=1")...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", strings.Join(command, " "), err, out.Bytes(), errs.Bytes())
	}
	var saw event
	if err := json.Unmarshal(bytes.TrimSpace(out.Bytes()), &saw); err != nil {
		t.Fatalf("%s says no JSON: %s\n%s", strings.Join(command, " "), out.Bytes(), errs.Bytes())
	}
	return saw
}

// cutShort checks the record of a conversation whose first answer was cut short where the
// client says.
func (w *world) cutShort(t *testing.T, saw event) {
	t.Helper()
	got := w.Record()
	if len(got) != 4 || got[0] != "user: tell me a story" || got[2] != "user: what time is it" || got[3] != "assistant: "+noon {
		t.Fatalf("the record is %q", got)
	}
	heard, cut := strings.CutPrefix(got[1], "interrupted assistant: ")
	ms, _ := saw["truncated"].(float64)
	// A character is 65 ms; the record ends with a whole word.
	if most := int(ms) / 65; !cut || !strings.HasPrefix(story, heard) || len(heard) > most+2 || len(heard) < most-14 {
		t.Errorf("the record has %q of an answer that was cut at %v ms", got[1], ms)
	}
}

// recordings are what the programs say.
func recordings(t *testing.T) []string {
	t.Helper()
	dir, err := filepath.Abs("../../internal/voices/recordings")
	if err != nil {
		t.Fatal(err)
	}
	return []string{"VOICE_ASK=" + filepath.Join(dir, "young-man.wav"), "VOICE_CUT=" + filepath.Join(dir, "amiable-woman.wav")}
}

func TestAgentsJS(t *testing.T) {
	dir := withNode(t)
	t.Parallel()
	w := newWorld(t, nil)
	w.cutShort(t, w.talk(t, dir, recordings(t), "node", "agents.mjs"))
}

func TestOpenAIJS(t *testing.T) {
	dir := withNode(t)
	t.Parallel()
	w := newWorld(t, nil)
	saw := w.talk(t, dir, recordings(t), "node", "openai.mjs")
	if saw["words"] != "tell me a story" || saw["text"] != noon {
		t.Errorf("the client saw %v", saw)
	}
	got := w.Record()
	if len(got) != 4 || got[0] != "user: tell me a story" || !strings.HasPrefix(got[1], "interrupted assistant: Once") ||
		got[2] != "user: What time is it?" {
		t.Errorf("the record is %q", got)
	}
}

func TestOpenAIPython(t *testing.T) {
	dir := withPython(t)
	t.Parallel()
	w := newWorld(t, nil)
	w.cutShort(t, w.talk(t, dir, recordings(t), filepath.Join(dir, "venv", "bin", "python"), "openai_voice.py"))
}

func TestAgentsPython(t *testing.T) {
	dir := withPython(t)
	t.Parallel()
	w := newWorld(t, nil)
	w.cutShort(t, w.talk(t, dir, recordings(t), filepath.Join(dir, "venv", "bin", "python"), "agents_voice.py"))
}

// forecaster is a model that calls the tool which the caller names, and says what it answers.
func forecaster(t *testing.T) *world {
	t.Helper()
	llm, err := scripted.New(scripted.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, llm)
}

func TestAgentsJSTools(t *testing.T) {
	dir := withNode(t)
	t.Parallel()
	saw := forecaster(t).talk(t, dir, nil, "node", "agents-tools.mjs")
	if said, _ := saw["said"].(string); !strings.Contains(said, "get weather says: rain") {
		t.Errorf("the client saw %v", saw)
	}
}

func TestOpenAIPythonTools(t *testing.T) {
	dir := withPython(t)
	t.Parallel()
	saw := forecaster(t).talk(t, dir, nil, filepath.Join(dir, "venv", "bin", "python"), "openai_tools.py")
	if said, _ := saw["said"].(string); !strings.Contains(said, "get weather says: rain") {
		t.Errorf("the client saw %v", saw)
	}
}
