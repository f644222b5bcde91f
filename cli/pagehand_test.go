// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/page/pagetest"
)

// quiet is a microphone in a silent room.
func quiet(t *testing.T) string {
	t.Helper()
	return microphone(t, 10*time.Second)
}

// judged fails on what axe-core finds serious.
func judged(t *testing.T, b *pagetest.Browser, axe, when string) {
	t.Helper()
	for _, v := range b.Judge(axe) {
		if v.Impact == "serious" || v.Impact == "critical" {
			t.Errorf("%s: %v", when, v)
		} else {
			t.Logf("%s: %v", when, v)
		}
	}
}

// seen keeps pictures of the page in both schemes, on a desk and on a phone, and lets it be
// judged. What goes on meanwhile goes on.
func seen(t *testing.T, b *pagetest.Browser, axe, name string) {
	t.Helper()
	for _, at := range []struct {
		name          string
		width, height int
	}{{"", 1280, 900}, {"-phone", 390, 844}} {
		b.Size(at.width, at.height, at.width < 600)
		b.Await("its width", fmt.Sprintf("innerWidth === %d", at.width))
		for _, scheme := range []string{"dark", "light"} {
			b.Scheme(scheme)
			picture(t, b, name+at.name+"-"+scheme)
			judged(t, b, axe, name+at.name+", "+scheme)
		}
		b.Size(min(at.width, 360), at.height, at.width < 600) // the narrowest that there is
		var width int
		b.Eval(`document.documentElement.scrollWidth`, &width)
		if width > min(at.width, 360) {
			t.Errorf("%s is %d wide on a phone of 360", name, width)
		}
	}
	b.Size(1280, 900, false)
}

// outside takes the focus away from fields and buttons.
func outside(b *pagetest.Browser) { b.Eval(`document.activeElement.blur()`, nil) }

// Everything can be done by keyboard, on a desk and on a phone, in light and dark: connect,
// type, stop, mute, push to talk, look at sessions and recordings, hang up.
func TestPageByHand(t *testing.T) {
	pagetest.Find(t)
	axe := pagetest.Axe(t)
	p := serveProcess(t, nil, "--record", t.TempDir())
	b := pagetest.Open(t, pagetest.Options{Microphone: quiet(t)})
	b.Visit(p.url + "/")
	b.Await("who may connect", `document.querySelector("#notice").textContent.startsWith("Development mode")`)
	seen(t, b, axe, "before")

	b.Eval(`document.querySelector("#connect").focus()`, nil)
	b.Press("Enter")
	b.Await("a connection", `parley.connected && parley.sound.listening`)
	outside(b)
	b.Press("t")
	b.Await("the field has the focus", `document.activeElement.id === "text"`)
	b.Call("Input.insertText", map[string]any{"text": "tell me a story"}, nil)
	b.Press("Enter")
	b.Await("what was typed", `[...document.querySelectorAll(".line.caller")].some((l) => l.textContent === "You, in writingtell me a story")`)
	b.Await("the agent has the floor", `document.querySelector("#floor").dataset.who === "agent"`)
	b.Await("words that are heard", `document.querySelectorAll(".line.agent .word.heard").length > 2`)
	if *pagePictures != "" { // else it need not wait
		seen(t, b, axe, "speaking")
		outside(b)
	}
	b.Press("Escape")
	b.Await("it stops", `document.querySelector("#turns li.turn .state").textContent === "was stopped" && document.querySelector(".line.agent.cut .verdict")`)
	seen(t, b, axe, "stopped")

	var cut struct {
		Leaked int
		Ms     float64
	}
	b.Await("silence that lasts", `performance.now() - parley.conversation.turns.at(-1).fencedAt > 500 && parley.conversation.turns.at(-1).silentBy`)
	b.Eval(`(async () => {
		const { silentBy, fencedAt } = parley.conversation.turns.at(-1);
		return { leaked: (await parley.sound.account()).leaked, ms: silentBy - fencedAt };
	})()`, &cut)
	if cut.Leaked != 0 {
		t.Errorf("%d samples of a fenced output were heard", cut.Leaked)
	}
	t.Logf("fence in the page to silence in its worklet, at the latest: %.0f ms", cut.Ms)

	outside(b)
	b.Press("m")
	b.Await("muted", `document.querySelector("#mute").getAttribute("aria-pressed") === "true" && parley.sound.muted`)
	b.Press("m")
	b.Await("not muted", `document.querySelector("#mute").getAttribute("aria-pressed") === "false" && !parley.sound.muted`)
	b.Click(`input[name=mode][value=client]`)
	b.Await("silent until it is pushed", `parley.sound.muted && !document.querySelector("#push").disabled`)
	outside(b)
	b.Down(" ")
	b.Await("it hears", `!parley.sound.muted && document.querySelector("#push.down")`)
	b.Up(" ")
	b.Await("it is silent again", `parley.sound.muted && !document.querySelector("#push.down")`)
	b.Click(`input[name=mode][value=vad]`)
	b.Await("it hears again", `!parley.sound.muted`)

	for _, list := range []string{"#sessions", "#recordings", ".settings details"} {
		b.Click(list + " summary")
	}
	b.Await("this session in the list", `document.querySelector("#sessions-rows").textContent.includes("(this page)")`)
	b.Await("it says of the device what it can", `document.querySelectorAll("#input option").length > 1`)
	seen(t, b, axe, "lists")
	choose := func(field string) {
		b.Eval(`{ const f = document.querySelector("`+field+`"); f.value = f.options[1].value; f.dispatchEvent(new Event("change")); }`, nil)
	}
	choose("#output")
	b.Await("the loudspeaker that was chosen", `parley.sound.sinkId === document.querySelector("#output").value`)
	choose("#input")
	b.Await("the microphone that was chosen", `parley.sound.deviceId === document.querySelector("#input").value && document.querySelector("#trouble").hidden`)
	b.Click("#connect")
	b.Await("the end", `!parley.client && document.querySelector("#status-text").textContent === "Not connected" && document.querySelector("#trouble").hidden`)
	looksAtRecording(t, p, b, axe)
}

// looksAtRecording opens the timeline of the session that has ended.
func looksAtRecording(t *testing.T, p *program, b *pagetest.Browser, axe string) {
	t.Helper()
	b.Await("the recording of what has ended", `document.querySelector("#recordings-rows .link")`)
	var list struct {
		Recordings []struct {
			Name string
			Open bool
		}
	}
	_, body := p.get(t, "/api/recordings")
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Recordings) != 1 || list.Recordings[0].Open {
		t.Fatalf("%s %v", body, err)
	}
	at := "/api/recordings/" + list.Recordings[0].Name + "/timeline.html"
	if code, body := p.get(t, at); code != http.StatusOK || !strings.Contains(body, "neither words nor sound") {
		t.Fatalf("%d %.400s", code, body)
	}
	b.Eval(`document.querySelector("#recordings-rows").scrollIntoView({ block: "center" })`, nil)
	seen(t, b, axe, "recordings")
	b.Visit(p.url + at)
	b.Await("its drawing", `document.querySelector("svg *")`)
	seen(t, b, axe, "timeline")
}

const title = `document.querySelector("#trouble-title").textContent`

// A connection that is cut comes back by itself, and says so; a server that ends says so as
// well, and the page says what helps.
func TestPageLosesItsServer(t *testing.T) {
	pagetest.Find(t)
	p := serveProcess(t, nil, "--set", "session.drain_timeout_ms=1000")
	b := pagetest.Open(t, pagetest.Options{Microphone: quiet(t)})
	b.Visit(p.url + "/")
	b.Click("#connect")
	b.Await("a connection", `parley.connected`)
	b.Eval(`globalThis.told = [];
		new MutationObserver(() => told.push(document.querySelector("#status").textContent)).observe(document.querySelector("#status"), { childList: true, subtree: true, characterData: true });
		parley.client.socket.close(3999);`, nil)
	b.Await("it comes back", `parley.connected && [...document.querySelectorAll(".line.note")].some((l) => l.textContent === "The connection is back.")`)
	b.Await("a countdown", `told.some((text) => /^Connection lost. Trying again in \d\.\d s$/.test(text))`)
	p.signal(t)
	b.Await("it says that the session has ended", `!parley.client && `+title+` === "The server was asked to end."`)
	picture(t, b, "ended")
	p.ended(t, 0)
	b.Click("#connect")
	b.Await("it says that there is no server", title+` === "The server cannot be reached."`)
	for _, f := range b.Faults() { // the browser logs requests that find nobody
		if !strings.Contains(f, "ERR_CONNECTION_REFUSED") && !strings.Contains(f, "(Network error)") {
			t.Error(f)
		}
	}
}

// Held down, the key opens the microphone; let go, it ends what was said, and that is
// answered.
func TestPagePushToTalk(t *testing.T) {
	pagetest.Find(t)
	p := serveProcess(t, nil)
	b := pagetest.Open(t, pagetest.Options{Microphone: microphone(t, time.Second, "young-man", 2*time.Second)})
	b.Visit(p.url + "/")
	b.Click(`input[name=mode][value=client]`)
	b.Click("#connect")
	b.Await("a connection", `parley.connected && parley.sound.listening`)
	outside(b)
	b.Down(" ")
	b.Await("what is said", `document.querySelector("#partial .text").textContent !== "" && parley.conversation.items.some((i) => i.kind === "caller" && !i.final)`)
	b.Await("the end of a sentence", `!parley.conversation.floor.caller`)
	var turns int
	if b.Eval(`parley.conversation.turns.length`, &turns); turns != 0 {
		t.Errorf("%d turns while the key was down", turns)
	}
	b.Up(" ")
	b.Await("an answer", `document.querySelector(".line.agent .word.heard")`)
	b.Await("it is heard to its end, and the microphone is shut", `parley.conversation.turns.length === 1 && parley.conversation.turns[0].state === "said" && parley.sound.muted`)
	picture(t, b, "push")
}

// Without a microphone one can type, and is told how to get it.
func TestPageWithoutMicrophone(t *testing.T) {
	pagetest.Find(t)
	p := serveProcess(t, nil)
	b := pagetest.Open(t, pagetest.Options{Denied: true})
	b.Visit(p.url + "/")
	b.Click("#connect")
	b.Await("it says that it may not hear", `parley.connected && `+title+` === "The microphone is not allowed." && !document.querySelector("#listen").hidden`)
	picture(t, b, "denied")
	b.Eval(`document.querySelector("#text").value = "what time is it"; document.querySelector("#say").requestSubmit()`, nil)
	b.Await("an answer", `document.querySelector(".line.agent .word.heard")`)
}

// Where tokens are not given out the page asks for one, and shows with it what it may.
func TestPageWithToken(t *testing.T) {
	pagetest.Find(t)
	keys := filepath.Join(t.TempDir(), "keys.pem")
	if r := runParley(t, "", "token", "keygen", "--out", keys); r.code != exitOK {
		t.Fatal(r.errOut)
	}
	records := t.TempDir()
	p := serveProcess(t, nil, "--set", "auth.mode=token", "--set", "auth.keys=file://"+keys, "--record", records)
	b := pagetest.Open(t, pagetest.Options{Microphone: quiet(t)})
	b.Visit(p.url + "/")
	b.Await("it asks for a token", `!document.querySelector("#token-field").hidden`)
	b.Click("#connect")
	b.Await("it says that there is none", title+` === "There is no token."`)
	put := func(token string) {
		b.Eval(`{ const f = document.querySelector("#token"); f.value = "`+token+`"; f.dispatchEvent(new Event("input")); }`, nil)
	}
	put("nonsense")
	b.Click("#connect")
	b.Await("it says that it is none", title+` === "The token was not accepted."`)
	issued := func(kind string) string {
		r := runParley(t, "", "token", "issue", "--keys", "file://"+keys, "--tenant", "acme", "--transport", kind)
		if r.code != exitOK {
			t.Fatal(r.errOut)
		}
		return strings.TrimSpace(r.out)
	}
	put(issued("websocket"))
	b.Click("#connect")
	b.Await("a connection", `parley.connected && document.querySelector("#trouble").hidden`)
	b.Click("#sessions summary")
	b.Await("its own session", `document.querySelector("#sessions-rows").textContent.includes("(this page)")`)
	if code, body := p.get(t, "/api/recordings"); code != http.StatusUnauthorized {
		t.Errorf("%d %s", code, body)
	}
	b.Click("#connect")
	b.Await("the end", `!parley.client`)
	put(issued("status"))
	b.Click("#recordings summary")
	b.Await("the recording of the tenant's session", `document.querySelector("#recordings-rows .link")`)
	b.Eval(`{ const { submit } = HTMLFormElement.prototype; HTMLFormElement.prototype.submit = function () { this.target = "_self"; submit.call(this); }; }`, nil)
	b.Click("#recordings-rows .link")
	b.Await("its timeline", `document.querySelector("svg *")`)
	b.Faults() // what was refused is logged
}
