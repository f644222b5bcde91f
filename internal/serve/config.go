// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/internal/settings"
)

// EnvironmentPrefix begins the variables of the configuration.
const EnvironmentPrefix = "PARLEY_SERVE__"

// Modes of authentication.
const (
	ModeDevelopment = "development"
	ModeToken       = "token"
)

// Config is what parley serve runs with; its values are the defaults of Default. The tags
// are the manual: docs/serve.md is written from them.
type Config struct {
	Listen    string   `set:"listen" doc:"Address and port. Beyond loopback only with auth.mode token."`
	PublicURL string   `set:"public_url" doc:"What clients call this server, when a proxy stands in front of it; its host and origin are allowed."`
	Origins   []string `set:"origins" doc:"Further origins whose pages may connect, such as https://app.example."`
	Hosts     []string `set:"hosts" doc:"Further names that requests may call this server by."`

	TLS struct {
		Certificate string             `set:"certificate" doc:"File with a certificate and those that it was signed by, in PEM: the server speaks https and wss then, and no other. It is read anew when it changes."`
		Key         settings.Reference `set:"key" doc:"The certificate's private key, in PEM."`
	} `set:"tls"`

	Auth struct {
		Mode        string             `set:"mode" doc:"development: everybody on this machine may talk, and the page gets a token. token: a signed token is needed." enum:"development,token"`
		Keys        settings.Reference `set:"keys" doc:"The key file (parley token keygen): Ed25519, PEM or JSON Web Keys, the newest first. Development mode makes a key of its own without one."`
		Operator    settings.Reference `set:"operator_token" doc:"A secret that metrics and every tenant's sessions are shown for, and that may end them."`
		Lifetime    int64              `set:"token_lifetime_ms" doc:"The longest that a session token is valid." min:"1000" max:"86400000"`
		Recheck     int64              `set:"recheck_ms" doc:"How often the tokens of running sessions are looked at." min:"10" max:"60000"`
		ExpiryGrace int64              `set:"expiry_grace_ms" doc:"How long a session goes on when its token has expired and was not renewed." min:"1" max:"86400000"`
	} `set:"auth"`

	Session struct {
		Tenant   string `set:"tenant" doc:"The tenant of development mode, and of calls that have no token of their own."`
		Pipeline string `set:"pipeline" doc:"The pipeline version of those; a token has to say the same."`
		Max      int64  `set:"max" doc:"Sessions at a time; 0 = what the processors carry." min:"0" max:"20000"`
		Keep     int64  `set:"keep_ended" doc:"Sessions that ended and are still listed." min:"1" max:"10000"`
		Drain    int64  `set:"drain_timeout_ms" doc:"How long sessions may finish when the process is asked to end." min:"0" max:"600000"`
		Record   string `set:"record" doc:"Folder below which each session is recorded; empty = none is."`
		Flow     string `set:"flow" doc:"File with flow settings (docs/flow.md); empty = the profile's."`
	} `set:"session"`

	Grants struct {
		Instructions bool     `set:"instructions" doc:"Clients may give the agent instructions of their own."`
		Voices       []string `set:"voices" doc:"Voices that clients may choose; * = any."`
		Languages    []string `set:"languages" doc:"Languages that clients may choose; * = any."`
		TurnEnd      bool     `set:"turn_end" doc:"Clients may end utterances themselves: push to talk."`
		Answer       bool     `set:"answer" doc:"Clients may ask for each answer themselves."`
		Interrupt    bool     `set:"interrupt" doc:"Clients may switch interruption off."`
		TextOnly     bool     `set:"text_only" doc:"Clients may have answers written and not spoken."`
		Tools        bool     `set:"tools" doc:"Clients may bring tools that the model calls."`
	} `set:"grants"`

	Agent struct {
		LLM          string `set:"llm" doc:"Who answers: auto, scripted, or the base URL of an OpenAI-compatible server."`
		Instructions string `set:"instructions" doc:"The system prompt; empty = one for a telephone."`
		Voice        string `set:"voice" doc:"Voice of the synthesiser; empty = its own."`
		Language     string `set:"language" doc:"BCP 47; empty = the engines' own."`
	} `set:"agent"`

	Tools struct {
		MCP []MCPServer `set:"mcp" doc:"MCP servers whose tools the model may call. One that cannot be reached is tried again, and its tools are not offered meanwhile."`
	} `set:"tools"`

	Transports struct {
		WebSocket   bool               `set:"websocket" doc:"Parley's own protocol at /v1/ws (docs/websocket.md)."`
		Compression bool               `set:"websocket_compression" doc:"Its clients may ask for compressed text; each that does costs about 1.2 MB."`
		Realtime    bool               `set:"realtime" doc:"OpenAI's Realtime API at /v1/realtime (docs/realtime.md)."`
		RTVI        bool               `set:"rtvi" doc:"Pipecat's clients, RTVI over WebSocket, at /v1/rtvi/ (docs/rtvi.md)."`
		Telephony   bool               `set:"telephony" doc:"Media streams of telephone providers at /twilio/stream (docs/telephony.md)."`
		Twilio      settings.Reference `set:"twilio_auth_token" doc:"The secret that Twilio signs its requests with. With it calls are answered at /twilio/voice, and every request there has to be signed."`
	} `set:"transports"`

	SIP struct {
		Listen   string             `set:"listen" doc:"Address and port of the SIP gateway, UDP and TCP, such as 127.0.0.1:5060; empty = there is none."`
		Address  string             `set:"address" doc:"The IP that callers send sound to; empty = the one that they reached."`
		Lowest   int64              `set:"rtp_lowest" doc:"The range of ports for sound begins here." min:"1024" max:"65534"`
		Highest  int64              `set:"rtp_highest" doc:"And ends here; a call takes two." min:"1025" max:"65535"`
		Peers    []string           `set:"peers" doc:"Addresses that may call, such as 192.0.2.0/24; none = all."`
		User     string             `set:"user" doc:"The user that callers name themselves, for sip.password."`
		Password settings.Reference `set:"password" doc:"The password that callers have to know; empty = nobody is asked."`
		Tones    bool               `set:"tones" doc:"Digits are looked for in the sound of calls that cannot send them as events."`
	} `set:"sip"`

	LiveKit struct {
		URL         string             `set:"url" doc:"The LiveKit server whose rooms the agent joins, such as wss://example.livekit.cloud; empty = none."`
		Key         settings.Reference `set:"api_key" doc:"The API key."`
		Secret      settings.Reference `set:"api_secret" doc:"The API secret that belongs to it."`
		Rooms       []string           `set:"rooms" doc:"The rooms that the agent is in."`
		Identity    string             `set:"identity" doc:"The agent's identity in them."`
		Name        string             `set:"name" doc:"What it is called there; empty = the identity."`
		Participant string             `set:"participant" doc:"The identity of the one whom it talks to; empty = the first who comes."`
	} `set:"livekit"`

	Log struct {
		Level  string `set:"level" doc:"What is logged to standard error." enum:"debug,info,warn,error"`
		Format string `set:"format" doc:"How it is written." enum:"text,json"`
	} `set:"log"`

	HTTP struct {
		HeaderBytes   int64 `set:"header_bytes" doc:"The most bytes of a request's header." min:"1024" max:"1048576"`
		BodyBytes     int64 `set:"body_bytes" doc:"The most bytes of a request's body; WebSocket messages have their transport's bound." min:"1024" max:"16777216"`
		HeaderTimeout int64 `set:"header_timeout_ms" doc:"How long a request's header may take." min:"100" max:"120000"`
		Connections   int64 `set:"max_connections" doc:"Connections at a time; what comes beyond is closed at once." min:"1" max:"100000"`
		IdleTimeout   int64 `set:"idle_timeout_ms" doc:"How long a connection without a request stays open." min:"1000" max:"600000"`
	} `set:"http"`
}

// MCPServer is a server of tools.
type MCPServer struct {
	Name          string             `set:"name" doc:"Begins the names of its tools: lower-case letters, digits, underscores."`
	Command       []string           `set:"command" doc:"Program and arguments of a server that is spoken to over its standard input and output."`
	URL           string             `set:"url" doc:"Instead, one that is spoken to over streamable HTTP."`
	Authorization settings.Reference `set:"authorization" doc:"The bearer token for url."`
	Environment   []string           `set:"environment" doc:"Variables that the command is given, beside PATH, HOME, TMPDIR and LANG."`
	Allow         []string           `set:"allow" doc:"The tools that the model may call, by the server's names; none = all."`
	Timeout       int64              `set:"timeout_ms" doc:"For one call; 0 = 10000." min:"0" max:"600000"`
	Output        int64              `set:"max_output_bytes" doc:"What is longer is cut, and says so; 0 = 16384." min:"0" max:"262144"`
}

// Default is the configuration of somebody who tries it on a machine of their own.
func Default() *Config {
	c := &Config{Listen: "127.0.0.1:7860"}
	c.Auth.Mode, c.Auth.Lifetime, c.Auth.Recheck, c.Auth.ExpiryGrace = ModeDevelopment, 300000, 1000, 3600000
	c.Session.Tenant, c.Session.Pipeline, c.Session.Keep, c.Session.Drain = "local", "voice-1", 200, 30000
	g := &c.Grants
	g.Instructions, g.TurnEnd, g.Answer, g.Interrupt, g.TextOnly, g.Tools = true, true, true, true, true, true
	t := &c.Transports
	t.WebSocket, t.Compression, t.Realtime, t.RTVI, t.Telephony = true, true, true, true, true
	c.SIP.Lowest, c.SIP.Highest = 20000, 20999
	c.LiveKit.Identity = "parley-agent"
	c.Agent.LLM, c.Log.Level, c.Log.Format = "auto", "info", "text"
	c.HTTP.HeaderBytes, c.HTTP.BodyBytes, c.HTTP.HeaderTimeout, c.HTTP.IdleTimeout = 32<<10, 64<<10, 5000, 120000
	c.HTTP.Connections = 8192
	return c
}

// Development says whether everybody on this machine may talk.
func (c *Config) Development() bool { return c.Auth.Mode == ModeDevelopment }

// Problems are the contradictions of the configuration.
func (c *Config) Problems() (list []settings.Problem) {
	problem := func(path, format string, args ...any) {
		list = append(list, settings.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	host, port, err := net.SplitHostPort(c.Listen)
	n, bad := strconv.Atoi(port)
	switch {
	case err != nil || bad != nil || n < 0 || n > 65535:
		problem("listen", "%q: write an address and a port, such as 127.0.0.1:7860", c.Listen)
	case c.Development() && !loopbackHost(host):
		problem("listen", "%q is beyond loopback, where development mode would let everybody in: use auth.mode token, or an address of loopback such as 127.0.0.1:7860", c.Listen)
	}
	if c.Development() && c.PublicURL != "" && !loopbackURL(c.PublicURL) {
		problem("public_url", "%q would lead everybody to this server, and development mode lets everybody in: use auth.mode token", c.PublicURL)
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		problem("tls.key", "certificate and key go together: set both tls.certificate and tls.key (as file://PATH or env://NAME), or neither")
	}
	if c.Auth.Mode == ModeToken && c.Auth.Keys == "" {
		problem("auth.keys", "auth.mode token needs a key file: make one with parley token keygen, and set file://PATH")
	}
	for _, o := range c.Origins {
		if origin(o) == "" {
			problem("origins", "%q: write scheme and host, such as https://app.example", o)
		}
	}
	if c.PublicURL != "" && origin(c.PublicURL) == "" {
		problem("public_url", "%q: write scheme and host, such as https://voice.example", c.PublicURL)
	}
	if llm := c.Agent.LLM; llm != "" && llm != "auto" && llm != "scripted" {
		if u, err := url.Parse(llm); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			problem("agent.llm", "%q: write auto, scripted, or a base URL such as http://127.0.0.1:11434/v1", llm)
		}
	}
	list = append(list, c.sipProblems()...)
	list = append(list, c.livekitProblems()...)
	for _, f := range [...]struct{ path, value string }{{"session.tenant", c.Session.Tenant}, {"session.pipeline", c.Session.Pipeline}} {
		if f.value == "" || len(f.value) > 128 || strings.Trim(f.value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-") != "" {
			problem(f.path, "%q: use 1 to 128 characters of A-Z a-z 0-9 . _ : -", f.value)
		}
	}
	return list
}

// sipProblems are those of the telephone gateway. Who calls it has no token of its own, so
// beyond loopback it has to be known by address or password.
func (c *Config) sipProblems() (list []settings.Problem) {
	problem := func(path, format string, args ...any) {
		list = append(list, settings.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	host, _, err := net.SplitHostPort(c.SIP.Listen)
	switch {
	case c.SIP.Listen == "":
	case err != nil:
		problem("sip.listen", "%q: write an address and a port, such as 127.0.0.1:5060", c.SIP.Listen)
	case c.Development() && !loopbackHost(host):
		problem("sip.listen", "%q is beyond loopback, where development mode would let everybody call: use auth.mode token, or an address of loopback", c.SIP.Listen)
	}
	for _, p := range c.SIP.Peers {
		if _, err := netip.ParsePrefix(p); err != nil {
			problem("sip.peers", "%q: write an address with its length, such as 192.0.2.0/24", p)
		}
	}
	if c.SIP.Lowest >= c.SIP.Highest {
		problem("sip.rtp_highest", "%d: use more than sip.rtp_lowest, which is %d", c.SIP.Highest, c.SIP.Lowest)
	}
	if (c.SIP.User == "") != (c.SIP.Password == "") {
		problem("sip.password", "user and password go together: set both, or neither")
	}
	return list
}

// livekitProblems are those of LiveKit. Who comes into a room has a token of LiveKit's, so
// development mode is no open door there.
func (c *Config) livekitProblems() (list []settings.Problem) {
	l := &c.LiveKit
	problem := func(path, format string, args ...any) {
		list = append(list, settings.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if l.URL == "" {
		if len(l.Rooms) > 0 || l.Key != "" || l.Secret != "" {
			problem("livekit.url", "it is empty, and other settings of LiveKit are not: write the server's, such as wss://example.livekit.cloud")
		}
		return list
	}
	if u, err := url.Parse(l.URL); err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" && u.Scheme != "http" && u.Scheme != "https" {
		problem("livekit.url", "%q: write scheme and host, such as wss://example.livekit.cloud", l.URL)
	}
	if l.Key == "" || l.Secret == "" {
		problem("livekit.api_secret", "livekit.url needs both livekit.api_key and livekit.api_secret, as env://NAME or file://PATH")
	}
	if len(l.Rooms) == 0 {
		problem("livekit.rooms", "none: name the rooms that the agent is in")
	}
	if l.Identity == "" || l.Identity == l.Participant {
		problem("livekit.identity", "%q: give the agent an identity of its own", l.Identity)
	}
	return list
}

// Granted names what clients may choose.
func (c *Config) Granted() (list []string) {
	g := &c.Grants
	for _, f := range [...]struct {
		name string
		on   bool
	}{
		{"instructions", g.Instructions},
		{"voice", len(g.Voices) > 0},
		{"language", len(g.Languages) > 0},
		{"turn_end", g.TurnEnd},
		{"answer", g.Answer},
		{"interrupt", g.Interrupt},
		{"text_only", g.TextOnly},
		{"tools", g.Tools},
	} {
		if f.on {
			list = append(list, f.name)
		}
	}
	return list
}

// loopbackHost says whether a host to listen on is this machine alone. A name is taken for
// what it is only if it is localhost: what another one resolves to can change.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// loopbackURL says whether an URL is of this machine.
func loopbackURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && loopbackHost(u.Hostname())
}

// origin gives scheme and host of an URL, empty when it has none.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}
