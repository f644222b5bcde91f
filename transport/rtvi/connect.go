// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/socket"
)

const (
	// maxConnect bounds the body of a request to connect, and what of it goes into an address.
	maxConnect = 16 << 10
	maxTools   = 64
	maxText    = 64 << 10
)

// wishes are what a client may choose: in the body of its request to connect, which RTVI
// leaves to applications, and in the parameter config of the address that it is sent to.
type wishes struct {
	Instructions *string `json:"instructions,omitempty"`
	Voice        *string `json:"voice,omitempty"`
	Language     *string `json:"language,omitempty"`
	Tools        []tool  `json:"tools,omitempty"`
	OutputRate   int     `json:"audio_out_sample_rate,omitempty"`
}

// tool is a function that the client has a handler for.
type tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

// asked is the body of a request to connect. Pipecat's runner has the application's part in
// body.
type asked struct {
	wishes
	Body *wishes `json:"body"`
}

// connect answers a request to connect with where to, and with the client's own token: a
// program that issues tokens of its own answers such requests itself.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxConnect+1))
	var a asked
	switch {
	case err != nil:
		err = fmt.Errorf("rtvi: body: %w", err)
	case len(data) > maxConnect:
		err = fmt.Errorf("rtvi: body: more than %d bytes: ask for less", maxConnect)
	case len(bytes.TrimSpace(data)) > 0:
		if err = json.Unmarshal(data, &a); err != nil {
			err = fmt.Errorf("rtvi: body: %w: send a JSON object", err)
		}
	}
	wish := a.wishes
	if a.Body != nil {
		wish = *a.Body
	}
	if err == nil {
		err = wish.validate()
	}
	if err == nil && s.config.Check != nil {
		ctx, cancel := context.WithTimeout(r.Context(), s.config.Begin)
		defer cancel()
		o := transport.Offer{Kind: Kind, Token: socket.Bearer(r), Remote: r.RemoteAddr, Capabilities: Capabilities()}
		err = s.config.Check(ctx, o)
	}
	var to *url.URL
	if err == nil {
		to, err = socketURL(s.config.URL, r)
	}
	if err != nil {
		status := http.StatusBadRequest
		var refused *transport.RefusedError
		if errors.As(err, &refused) {
			status = refused.HTTPStatus()
		}
		answer(w, status, object{"detail": err.Error()}) // where clients look for it
		return
	}
	if !wish.empty() {
		config, _ := json.Marshal(&wish) // it was JSON when it came
		to.RawQuery = url.Values{"config": {base64.RawURLEncoding.EncodeToString(config)}}.Encode()
	}
	s.count(func(s *Stats) { s.Connects++ })
	o := object{"wsUrl": to.String()} // clients refuse fields that they do not know
	if t := socket.Bearer(r); t != "" {
		o["token"] = t
	}
	answer(w, http.StatusOK, o)
}

func answer(w http.ResponseWriter, status int, o object) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(o)
}

// socketURL is where the WebSocket is: beside the endpoint that r asks, or only whether base
// can lead there.
func socketURL(base string, r *http.Request) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || base != "" && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("rtvi: url: %q: write scheme and host, such as https://voice.example", base)
	}
	if r == nil {
		return u, nil
	}
	secure := u.Scheme == "https"
	if base == "" {
		u = &url.URL{Host: r.Host}
		secure = r.TLS != nil
	}
	u.Scheme = "ws"
	if secure {
		u.Scheme = "wss"
	}
	u.Path = path.Join("/", u.Path, path.Dir(r.URL.Path), "ws")
	return u, nil
}

func (w *wishes) empty() bool {
	return w.Instructions == nil && w.Voice == nil && w.Language == nil && w.Tools == nil && w.OutputRate == 0
}

func (w *wishes) validate() error {
	var faults []error
	for _, f := range [...]struct {
		name  string
		value *string
	}{{"instructions", w.Instructions}, {"voice", w.Voice}, {"language", w.Language}} {
		if f.value != nil && len(*f.value) > maxText {
			faults = append(faults, fmt.Errorf("rtvi: %s: %d bytes: use at most %d", f.name, len(*f.value), maxText))
		}
	}
	if len(w.Tools) > maxTools {
		faults = append(faults, fmt.Errorf("rtvi: tools: %d: use at most %d", len(w.Tools), maxTools))
	}
	for i := range w.Tools {
		if w.Tools[i].Name == "" {
			faults = append(faults, fmt.Errorf("rtvi: tools: number %d has no name: give it one", i+1))
		}
	}
	if w.OutputRate != 0 && !slices.Contains(codec.Rates(), w.OutputRate) {
		faults = append(faults, fmt.Errorf("rtvi: audio_out_sample_rate: %d Hz: use one of %v", w.OutputRate, codec.Rates()))
	}
	return errors.Join(faults...)
}

// flags are what the address of a connection asks for.
type flags struct {
	wishes  transport.Wishes
	rate    int  // of the sound for the client, in Hz; 0 = it names none
	capture bool // the bot's sound goes into messages: of clients that speak JSON
	signals bool // the session's signals are told as server-message
}

// readFlags reads the parameters of an address. Those that are not known are the business of
// whoever is in front.
func readFlags(q url.Values) (flags, error) {
	f := flags{capture: isSet(q, "capture_bot_audio"), signals: isSet(q, "signals")}
	var w wishes
	var faults []error
	if text := q.Get("config"); text != "" {
		data, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil {
			err = json.Unmarshal(data, &w)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("rtvi: config: %w: use the address that the connect endpoint gives", err))
		}
	}
	if text := q.Get("audio_out_sample_rate"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			n = -1
		}
		w.OutputRate = n
	}
	if err := errors.Join(append(faults, w.validate())...); err != nil {
		return f, err
	}
	if w.OutputRate != 0 {
		f.rate = w.OutputRate
	}
	f.wishes = transport.Wishes{Instructions: w.Instructions, Voice: w.Voice, Language: w.Language}
	for _, t := range w.Tools {
		f.wishes.Tools = append(f.wishes.Tools, transport.Tool{Name: t.Name, Description: t.Description, Parameters: t.Parameters})
	}
	if isSet(q, "skip_tts") {
		f.wishes.TextOnly = &[]bool{true}[0]
	}
	return f, nil
}

// isSet says that a flag is on, in the words that Pipecat takes.
func isSet(q url.Values, name string) bool {
	switch q.Get(name) {
	case "1", "true", "True", "TRUE", "yes":
		return true
	}
	return false
}
