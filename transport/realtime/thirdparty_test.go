// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/provider/scripted"
)

// thirdparty is where the programs lie that use OpenAI's own libraries, as they are
// published, at the versions that their lock files name.
const thirdparty = "../../clients/thirdparty/openai-realtime"

// They are installed once, into the user's cache. A machine that has no node, no python or
// no registry skips them, unless this variable says that they are required.
const required = "PARLEY_CLIENTS"

func unable(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv(required) == "required" {
		t.Fatalf(format, args...)
	}
	t.Logf(format, args...)
	t.Skip("TestConversation converses without (PARLEY_CLIENTS=required makes it a failure)")
}

// installed gives a folder with the programs and what one of their lock files names.
func installed(t *testing.T, lock string, tool string, install func(dir string) [][]string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("conversations take as long as they are to be heard; TestInterruption has none")
	}
	if _, err := exec.LookPath(tool); err != nil {
		unable(t, "%s is not on this machine", tool)
	}
	content, err := os.ReadFile(filepath.Join(thirdparty, lock))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		unable(t, "there is no cache to install to: %v", err)
	}
	sum := sha256.Sum256(content)
	dir := filepath.Join(cache, "parley", "clients", "openai-realtime-"+tool+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	release := lockFolder(t, dir)
	defer release()
	if err := os.CopyFS(filepath.Join(dir, "new"), os.DirFS(thirdparty)); err != nil {
		t.Fatal(err)
	}
	refresh(t, filepath.Join(dir, "new"), dir)
	done := filepath.Join(dir, ".installed")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	for _, command := range install(dir) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		c := exec.CommandContext(ctx, command[0], command[1:]...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		cancel()
		if err != nil {
			unable(t, "%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// refresh puts the programs of today into a folder that may have those of yesterday.
func refresh(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "node_modules" || e.Name() == "venv" {
			continue
		}
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(from); err != nil {
		t.Fatal(err)
	}
}

// lockFolder keeps two tests from installing into one folder. One that was left behind is
// taken over after a while.
func lockFolder(t *testing.T, dir string) func() {
	t.Helper()
	lock := dir + ".lock"
	for end := time.Now().Add(10 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := os.Mkdir(lock, 0o750)
		if err == nil {
			return func() { _ = os.Remove(lock) }
		}
		if !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
		if info, err := os.Stat(lock); time.Now().After(end) || err == nil && time.Since(info.ModTime()) > 10*time.Minute {
			_ = os.Remove(lock)
		}
	}
}

func withNode(t *testing.T) string {
	t.Helper()
	return installed(t, "package-lock.json", "node", func(string) [][]string {
		return [][]string{{"npm", "ci", "--no-audit", "--no-fund"}}
	})
}

func withPython(t *testing.T) string {
	t.Helper()
	return installed(t, "requirements.txt", "python3", func(dir string) [][]string {
		pip := filepath.Join(dir, "venv", "bin", "pip")
		return [][]string{{"python3", "-m", "venv", "venv"}, {pip, "install", "-q", "--no-deps", "-r", "requirements.txt"}}
	})
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
	got := w.record()
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
	got := w.record()
	if len(got) != 4 || got[0] != "user: tell me a story" || !strings.HasPrefix(got[1], "interrupted assistant: Once upon") ||
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
	if !reflect.ValueOf(llm.Descriptor().Capabilities).FieldByName("Tools").IsValid() {
		t.Skip("this build's models call no tools; TestTools needs none")
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
