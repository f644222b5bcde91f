// SPDX-License-Identifier: Apache-2.0

package pagetest

import (
	"encoding/json"
	"fmt"
	"time"
)

// Visit goes to an address, and waits until it is loaded.
func (b *Browser) Visit(url string) {
	b.t.Helper()
	b.Call("Page.navigate", map[string]any{"url": url}, nil)
	b.Await("the page is loaded", `document.readyState === "complete" && location.href.startsWith(`+quote(url)+`)`)
}

func quote(text string) string {
	q, _ := json.Marshal(text) // of a string it cannot fail
	return string(q)
}

// Eval evaluates an expression in the page, a promise to its end; out takes its value as
// JSON, nil = nobody.
func (b *Browser) Eval(expression string, out any) {
	b.t.Helper()
	if err := b.eval(expression, out); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

func (b *Browser) eval(expression string, out any) error {
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := b.call("Runtime.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
	}, &r)
	switch {
	case err != nil:
		return err
	case r.ExceptionDetails != nil:
		return fmt.Errorf("%s %s", r.ExceptionDetails.Text, r.ExceptionDetails.Exception.Description)
	case out == nil || len(r.Result.Value) == 0:
		return nil
	}
	return json.Unmarshal(r.Result.Value, out)
}

// Await waits until an expression is true.
func (b *Browser) Await(what, expression string) {
	b.t.Helper()
	for end := time.Now().Add(Patience); ; time.Sleep(50 * time.Millisecond) {
		var is bool
		err := b.eval("Boolean("+expression+")", &is)
		if err == nil && is {
			return
		}
		if time.Now().After(end) {
			var text string
			_ = b.eval("document.body.innerText.slice(0, 3000)", &text)
			b.t.Fatalf("it does not come: %s: %v\n%s\n%v", what, err, text, b.Faults())
		}
	}
}

// Click clicks on an element.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.Eval("document.querySelector("+quote(selector)+").click()", nil)
}

// keys are those that are pressed by another name than what they write.
func keyCode(key string) (code string, number int) {
	switch key {
	case " ":
		return "Space", 32
	case "Escape":
		return "Escape", 27
	case "Tab":
		return "Tab", 9
	case "Enter":
		return "Enter", 13
	}
	return "Key" + string(rune(key[0]-'a'+'A')), int(key[0] - 'a' + 'A')
}

// Down presses a key: a small letter, a space, Escape, Tab or Enter.
func (b *Browser) Down(key string) { b.key("keyDown", key) }

// Up lets it go.
func (b *Browser) Up(key string) { b.key("keyUp", key) }

// Press presses it and lets it go.
func (b *Browser) Press(key string) {
	b.Down(key)
	b.Up(key)
}

func (b *Browser) key(kind, key string) {
	b.t.Helper()
	code, number := keyCode(key)
	p := map[string]any{"type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number}
	if kind == "keyDown" && len(key) == 1 {
		p["text"] = key
	} else if kind == "keyDown" && key == "Enter" {
		p["text"] = "\r"
	}
	b.Call("Input.dispatchKeyEvent", p, nil)
}

// Size sets the size of the page, in CSS pixels, as a phone's or a desk's.
func (b *Browser) Size(width, height int, phone bool) {
	b.t.Helper()
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}, nil)
}

// Scheme chooses the colours that the user prefers: light or dark.
func (b *Browser) Scheme(scheme string) {
	b.t.Helper()
	b.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}
