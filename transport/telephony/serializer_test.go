// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/parley-voice/parley/internal/thirdparty"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

// serializerAt is where the program lies that uses Pipecat's TwilioSerializer, as it is
// published, at the version that its lock file names.
const serializerAt = "../../clients/thirdparty/twilio-serializer"

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
	cmd := exec.CommandContext(t.Context(), "node", "serializer.mjs")
	cmd.Dir = thirdparty.Install(t, thirdparty.Node(serializerAt))
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
