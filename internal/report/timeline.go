// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"io/fs"
)

//go:embed page
var pageFiles embed.FS

// page is what the template sees: texts to be escaped by it, and four pieces that are already what they claim to be.
type page struct {
	Title    string
	Session  Session
	Facts    []fact
	Turns    []turnView
	Rows     []turnRow
	Signals  []signalRow
	Waited   waitedView
	Notes    []string
	Grid     string // what one quarter of the waterfalls' scale stands for
	Process  string
	Style    template.CSS
	Script   template.JS
	Payload  template.JS
	HasAudio bool
}

// payload is the JSON that the page draws: the data, with the arithmetic done here where it is tested.
type payload struct {
	Data
	Turns []payloadTurn `json:"turns"`
	Floor []floorSpan   `json:"floor"`
	Waits *payloadWaits `json:"waits,omitempty"`
}

type payloadTurn struct {
	Turn
	Latencies Latencies `json:"latencies"`
	Heard     string    `json:"heard"`
	Unheard   string    `json:"unheard"`
	FenceUs   *float64  `json:"fence_us"`
}

// WriteTimeline writes the conversation as one self-contained HTML page. It links to nothing but d.Session.Audio, which
// it expects beside itself. Faults of d come back joined, before anything is written.
func WriteTimeline(w io.Writer, d Data) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("timeline: %w", err)
	}
	data, err := encodePayload(&d)
	if err != nil {
		return fmt.Errorf("timeline: %w", err)
	}
	style, err := pageFiles.ReadFile("page/page.css")
	if err != nil {
		return fmt.Errorf("timeline: %w", err)
	}
	script, err := joinScripts()
	if err != nil {
		return fmt.Errorf("timeline: %w", err)
	}
	tmpl, err := template.New("page.html").ParseFS(pageFiles, "page/page.html")
	if err != nil {
		return fmt.Errorf("timeline: %w", err)
	}
	view := viewOf(&d)
	view.Style = template.CSS(style)  // our own file
	view.Script = template.JS(script) // our own file
	view.Payload = template.JS(data)  // encoding/json has escaped <, >, & and the line separators
	if err := tmpl.Execute(w, view); err != nil {
		return fmt.Errorf("timeline: %w", err)
	}
	return nil
}

// encodePayload leaves no character in the JSON that could end the script element it goes into: encoding/json writes
// <, >, &, U+2028 and U+2029 as escapes, and invalid UTF-8 as U+FFFD.
func encodePayload(d *Data) ([]byte, error) {
	body := payload{Data: *d, Floor: list(floorOf(d)), Turns: make([]payloadTurn, 0, len(d.Turns))}
	for i := range d.Turns {
		turn := &d.Turns[i]
		view := payloadTurn{Turn: *turn, Latencies: LatenciesOf(turn)}
		view.Heard, view.Unheard = heardParts(turn)
		if turn.Cancel != nil {
			view.FenceUs = turn.Cancel.fenceUs()
		}
		view.Hold, view.Segments = list(turn.Hold), list(turn.Segments)
		body.Turns = append(body.Turns, view)
	}
	body.Waits = payloadWaitsOf(d)
	body.Speech, body.Partials, body.Signals = list(d.Speech), list(d.Partials), list(d.Signals)
	return json.Marshal(body)
}

// heardParts is what to print as heard and as unheard. When the two texts differ in their words, the heard one is
// printed as it is and the reply stands beside it in the table.
func heardParts(turn *Turn) (heard, unheard string) {
	if turn.HeardText == "" {
		return "", turn.Reply
	}
	if first, rest, ok := splitHeard(turn.Reply, turn.HeardText); ok {
		return first, rest
	}
	return turn.HeardText, ""
}

// joinScripts strings the page's scripts together in the order of their names; each is a part of one strict function.
func joinScripts() ([]byte, error) {
	names, err := fs.Glob(pageFiles, "page/*.js")
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	all.WriteString("(() => {\n'use strict';\n")
	for _, name := range names {
		script, err := pageFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all.Write(script)
	}
	all.WriteString("})();\n")
	return all.Bytes(), nil
}
