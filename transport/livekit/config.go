// SPDX-License-Identifier: Apache-2.0

package livekit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

// Kind is the transport's name.
const Kind transport.Kind = "livekit"

// The defaults of a Config.
const (
	DefaultIdentity = "parley-agent"
	DefaultConnect  = 15 * time.Second
	DefaultResume   = 30 * time.Second
	DefaultLifetime = 10 * time.Minute
)

// The limits of what can be set.
const (
	mostRooms  = 1024
	longestID  = 256
	longest    = 10 * time.Minute
	leastToken = time.Minute
	mostToken  = 24 * time.Hour
)

// Config is what a Server is made of. URL, Key, Secret and Opus have to be given; each
// other field's zero value is its default.
type Config struct {
	// URL is the LiveKit server's, such as "wss://example.livekit.cloud". A server beyond
	// this machine is better reached by wss: the token that goes there opens the room.
	URL string
	// Key is the API key that Secret belongs to.
	Key string
	// Secret gives the API secret, each time that a token is signed: it may change.
	Secret func(ctx context.Context) (string, error)
	// Rooms are those that Serve joins; none = only what Join is asked for.
	Rooms []string
	// Identity is the agent's in each room; "" = DefaultIdentity. Two agents in one room need
	// two: the server shows the door to the first of one identity when a second comes.
	Identity string
	// Name is what the agent is called; "" = the identity.
	Name string
	// Participant is the identity of the one who is talked to; "" = the first who comes.
	Participant string
	// Token gives the session token of a call. Its error may wrap a *transport.RefusedError.
	// nil = calls have none.
	Token func(ctx context.Context, c Caller) (token string, err error)
	// Opus makes the encoders of what the agent says.
	Opus codec.OpusFactory
	// Connect is how long it may take to be in a room; 0 = DefaultConnect.
	Connect time.Duration
	// Resume is for how long a lost connection is tried to be had back; 0 = DefaultResume.
	Resume time.Duration
	// Lifetime is how long the tokens for LiveKit are valid that are made for each connection;
	// 0 = DefaultLifetime.
	Lifetime time.Duration
	// Log is told of rooms that cannot be joined and of what servers do wrong; nil = nobody is.
	Log *slog.Logger
}

// Caller is a participant who is to be talked to.
type Caller struct {
	Room       string
	Identity   string
	Name       string
	Metadata   string
	Attributes map[string]string
}

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	if c.Identity == "" {
		c.Identity = DefaultIdentity
	}
	if c.Name == "" {
		c.Name = c.Identity
	}
	if c.Connect == 0 {
		c.Connect = DefaultConnect
	}
	if c.Resume == 0 {
		c.Resume = DefaultResume
	}
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("livekit: %s: %v: %s", field, value, remedy))
	}
	if _, err := address(c.URL); err != nil {
		fault("url", fmt.Sprintf("%q", c.URL), `give scheme and host of the LiveKit server, such as "wss://example.livekit.cloud" or "ws://127.0.0.1:7880"`)
	}
	if c.Key == "" {
		fault("key", "none", "give the API key of the LiveKit project")
	}
	if c.Secret == nil {
		fault("secret", "none", "give what looks up the API secret that belongs to the key")
	}
	if c.Opus == nil {
		fault("opus", "none", "give an encoder, such as that of transport/codec/libopus: rooms hear nothing else")
	}
	if len(c.Rooms) > mostRooms {
		fault("rooms", len(c.Rooms), fmt.Sprintf("use %d at most", mostRooms))
	}
	for i, r := range c.Rooms {
		switch {
		case r == "" || len(r) > longestID:
			fault(fmt.Sprintf("rooms[%d]", i), fmt.Sprintf("%q", r), fmt.Sprintf("use a name of 1 to %d bytes", longestID))
		case slices.Index(c.Rooms, r) != i:
			fault(fmt.Sprintf("rooms[%d]", i), fmt.Sprintf("%q", r), "name each room once")
		}
	}
	for _, f := range []struct{ field, value string }{{"identity", c.Identity}, {"name", c.Name}, {"participant", c.Participant}} {
		if len(f.value) > longestID {
			fault(f.field, fmt.Sprintf("%d bytes", len(f.value)), fmt.Sprintf("use %d bytes at most", longestID))
		}
	}
	if c.Participant == c.Identity {
		fault("participant", c.Participant, "name another one than the agent itself")
	}
	for _, f := range []struct {
		field         string
		value         time.Duration
		least, upmost time.Duration
	}{{"connect", c.Connect, time.Second, longest}, {"resume", c.Resume, time.Second, longest}, {"lifetime", c.Lifetime, leastToken, mostToken}} {
		if f.value < f.least || f.value > f.upmost {
			fault(f.field, f.value, fmt.Sprintf("use 0 for the default, or %v to %v", f.least, f.upmost))
		}
	}
	return errors.Join(faults...)
}

// address reads the URL of a server, as one of WebSocket.
func address(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "ws", "wss":
	case "http", "https":
		u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	default:
		return nil, errors.New("it has no scheme of WebSocket")
	}
	if u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("it is more or less than scheme, host and path")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// near says whether a server is on this machine.
func near(u *url.URL) bool {
	host := u.Hostname()
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// open says whether what goes to a server can be read on its way.
func open(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "ws" && !near(u) && (ip == nil || !ip.IsPrivate())
}
