// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

// serializerAt is where the program lies that uses Pipecat's TwilioSerializer, as it is
// published, at the version that its lock file names.
const serializerAt = "../../clients/thirdparty/twilio-serializer"

// unable leaves a test out that needs what this machine does not have, unless
// PARLEY_CLIENTS=required.
func unable(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("PARLEY_CLIENTS") == "required" {
		t.Fatalf(format, args...)
	}
	t.Logf(format, args...)
	t.Skip("TestCall covers it without (PARLEY_CLIENTS=required makes it a failure)")
}

// installed gives a folder with the program and its packages, in the user's cache.
func installed(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			unable(t, "%v: install Node 20 or later", err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		unable(t, "there is no cache to install to: %v", err)
	}
	h := sha256.New()
	for _, name := range []string{"package-lock.json", "serializer.mjs"} {
		content, err := os.ReadFile(filepath.Join(serializerAt, name))
		if err != nil {
			t.Fatal(err)
		}
		h.Write(content)
	}
	dir := filepath.Join(cache, "parley", "clients", "twilio-serializer-"+hex.EncodeToString(h.Sum(nil)[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	fresh := dir + "." + strconv.Itoa(os.Getpid()) // beside it, so that it can be renamed
	if err := os.MkdirAll(fresh, 0o750); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := os.CopyFS(fresh, os.DirFS(serializerAt)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	install := exec.CommandContext(ctx, "npm", "ci")
	install.Dir = fresh
	if out, err := install.CombinedOutput(); err != nil {
		unable(t, "npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(fresh, dir); err != nil { // unless another test was quicker
		if _, there := os.Stat(dir); there != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// serializer is the program while it runs.
type serializer struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

type told struct {
	Type    string  `json:"type"`
	Message string  `json:"message"`
	Event   string  `json:"event"`
	PCM     []int16 `json:"pcm"`
}

func (s *serializer) ask(what any) (answer told) {
	s.t.Helper()
	line, err := json.Marshal(what)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		s.t.Fatal(err)
	}
	if !s.out.Scan() {
		s.t.Fatalf("the serializer has ended: %v", s.out.Err())
	}
	if err := json.Unmarshal(s.out.Bytes(), &answer); err != nil {
		s.t.Fatalf("%s: %v", s.out.Bytes(), err)
	}
	return answer
}

// TestPipecatSerializer: the gateway's messages are made and read by somebody else's code.
func TestPipecatSerializer(t *testing.T) {
	if testing.Short() {
		t.Skip("npm takes its time; TestCall covers it without")
	}
	cmd := exec.CommandContext(t.Context(), "node", "serializer.mjs")
	cmd.Dir = installed(t)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = cmd.Wait()
	}()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	s := &serializer{t: t, in: in, out: lines}

	_, host, address := serve(t, Config{}, transporttest.Config{})
	g := dial(t, address, Twilio, nil)
	g.start(transporttest.Token)
	session := host.Next()
	voice := tone(20 * transport.FrameSamples)
	for n := 0; n+1 < len(voice); n += transport.FrameSamples {
		var narrow []int16
		for i := n; i < n+transport.FrameSamples; i += 2 {
			narrow = append(narrow, voice[i])
		}
		g.send("%s", s.ask(map[string]any{"pcm": narrow}).Message)
	}
	if v := loudest(session.AwaitHeard(len(voice))); v < 7000 || v > 9000 {
		t.Errorf("a voice of 8000 is heard at %d", v)
	}
	session.Play("a", 1, tone(10*transport.FrameSamples))
	session.Fence("a", 1)
	g.until("clear", counted("clear", 1))
	g.mu.Lock()
	texts := append([]string(nil), g.texts...)
	g.mu.Unlock()
	var heard []int16
	cleared := false
	for _, text := range texts {
		switch answer := s.ask(map[string]string{"message": text}); answer.Type {
		case "audio":
			heard = append(heard, answer.PCM...)
		case "raw":
			cleared = cleared || answer.Event == "clear"
		}
	}
	if v := loudest(heard); len(heard) < 8*160 || v < 7000 || v > 9000 || !cleared {
		t.Errorf("%d samples are read, as loud as %d; cleared %v", len(heard), v, cleared)
	}
}
