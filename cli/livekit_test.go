// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/serve/servetest"
	"github.com/parley-voice/parley/internal/voices"
	"github.com/parley-voice/parley/transport/livekit/livekittest"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

// inLobby are the settings of an agent in a server's room.
func inLobby(url string) []string {
	return []string{
		"--set", "livekit.url=" + url, "--set", "livekit.rooms=lobby",
		"--set", "livekit.api_key=env://LK_KEY", "--set", "livekit.api_secret=env://LK_SECRET",
	}
}

// A person in a room of LiveKit speaks to the program and is answered; the room reads along.
func TestServeLiveKit(t *testing.T) {
	opus, free, err := opusEncoders(t.Context())
	if err != nil || opus == nil {
		t.Fatalf("no encoder of Opus: %v: run make engines", err)
	}
	t.Cleanup(func() { _ = free() })
	live := livekittest.New(t, livekittest.Config{Opus: opus})
	v, err := voices.Lookup("young-man")
	if err != nil {
		t.Fatal(err)
	}
	clip, err := v.Clip()
	if err != nil {
		t.Fatal(err)
	}
	p := serveProcess(t, []string{"LK_KEY=" + livekittest.Key, "LK_SECRET=" + livekittest.Secret}, inLobby(live.URL())...)
	room := live.Room("lobby")
	ada := room.Come(livekittest.Guest{Identity: "ada"})
	until := func(what string, is func(a *livekittest.Agent) bool) {
		t.Helper()
		for end := time.Now().Add(servetest.Patience); ; time.Sleep(10 * time.Millisecond) {
			if list := room.Agents(); len(list) > 0 && is(list[len(list)-1]) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("it did not happen: %s\n%s", what, p.log.String())
			}
		}
	}
	until("the agent listens", func(a *livekittest.Agent) bool {
		return a.Attribute(roomproto.AttributeState) == "listening" && a.Hears(ada.TrackSID())
	})
	ada.Speak(append(clip.PCM, make([]int16, 16000*20)...))
	agent := room.Agents()[0]
	until("the room reads what both said", func(a *livekittest.Agent) bool {
		caller, said := false, false
		for _, d := range a.Received() {
			caller = caller || d.Transcription != nil && d.Transcription.Identity == "ada" && d.Transcription.Segments[0].Text != ""
			said = said || d.Transcription != nil && d.Transcription.Identity == "parley-agent" && d.Transcription.Segments[0].Text != ""
		}
		return caller && said
	})
	until("the agent is heard", func(a *livekittest.Agent) bool { return len(a.Packets()) >= 25 })
	if _, body := p.get(t, "/api/sessions"); !strings.Contains(body, `"transport_kind":"livekit"`) {
		t.Errorf("the sessions: %s", body)
	}
	ada.Go(roomproto.ClientInitiated)
	until("the agent leaves, and waits in the room for the next one", func(a *livekittest.Agent) bool { return agent.Left() && a != agent })
	p.signal(t)
	p.ended(t, exitOK)
}

// The probe says what would be done, and whether the server lets the agent in.
func TestLiveKitProbe(t *testing.T) {
	live := livekittest.New(t, livekittest.Config{})
	t.Setenv("LK_KEY", livekittest.Key)
	t.Setenv("LK_SECRET", livekittest.Secret)
	args := append([]string{"livekit", "probe"}, inLobby(live.URL())...)
	r := runParley(t, "", args...)
	if r.code != exitOK || !strings.Contains(r.out, `room "lobby"`) || !strings.Contains(r.out, "lets the agent in") || strings.Contains(r.out+r.errOut, livekittest.Secret) {
		t.Errorf("%d\n%s%s", r.code, r.out, r.errOut)
	}
	t.Setenv("LK_SECRET", "another one")
	if r := runParley(t, "", args...); r.code != exitFailure || !strings.Contains(r.errOut, "API key and secret") {
		t.Errorf("with another secret: %d\n%s%s", r.code, r.out, r.errOut)
	}
	if r := runParley(t, "", append(args, "--dry-run")...); r.code != exitOK || strings.Contains(r.out, "lets the agent in") {
		t.Errorf("a dry run: %d\n%s%s", r.code, r.out, r.errOut)
	}
	t.Setenv("LK_SECRET", "")
	if r := runParley(t, "", append(args, "--dry-run")...); r.code != exitUsage || !strings.Contains(r.errOut, "livekit.api_secret") {
		t.Errorf("without a secret: %d\n%s%s", r.code, r.out, r.errOut)
	}
	if r := runParley(t, "", "livekit", "probe"); r.code != exitUsage || !strings.Contains(r.errOut, "livekit.url") {
		t.Errorf("without a server: %d\n%s%s", r.code, r.out, r.errOut)
	}
}
