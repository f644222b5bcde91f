// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/transport"
)

// Kind is the transport's name: that of telephony in general.
const Kind transport.Kind = "telephony"

// The defaults of a Config.
const (
	DefaultListen  = "127.0.0.1:5060"
	DefaultCalls   = 64
	DefaultSilent  = 30 * time.Second
	DefaultRate    = 500
	DefaultSources = 4096
)

// The default range of RTP ports.
const (
	DefaultLowest  = 20000
	DefaultHighest = 20999
)

// The limits of what can be set.
const (
	mostCalls   = 1 << 14
	longest     = 10 * time.Minute
	mostRate    = 1 << 20
	mostSources = 1 << 20
	lowestPort  = 1024
)

// Codec is an encoding of telephone sound, by its name in SDP.
type Codec string

// The codecs.
const (
	PCMU Codec = "PCMU"
	PCMA Codec = "PCMA"
)

// Config is what a Server is made of. Each field's zero value is its default.
type Config struct {
	// UDP and TCP are the addresses to listen at; "" = DefaultListen, "off" = not at all.
	UDP, TCP string
	// Address is the IP that callers send to; "" = that of the listener, or the one that a
	// packet to the caller leaves from when that is unspecified.
	Address string
	// Lowest and Highest are the range of RTP ports: a call takes an even one, and the odd
	// one behind it for RTCP. 0 = the default range.
	Lowest, Highest int
	// Calls is how many calls there may be; 0 = DefaultCalls, or what the ports are
	// enough for.
	Calls int
	// Codecs are those that are taken, the best first; none = PCMU, PCMA.
	Codecs []Codec
	// Peers are the addresses that may call; none = all of them.
	Peers []netip.Prefix
	// Password gives the password of a user who calls, for digest authentication; ok false =
	// nobody of that name. nil = nobody is asked.
	Password func(ctx context.Context, user string) (password string, ok bool)
	// Realm is what callers are told that the password is for; "" = "parley".
	Realm string
	// Algorithms are those by which passwords are given, the best first: "MD5", "SHA-256";
	// none = MD5, since there are callers who give up when the first is unknown to them.
	Algorithms []string
	// Token gives the session token of a call. Its error may wrap a *transport.RefusedError.
	// nil = that of the header X-Parley-Token.
	Token func(ctx context.Context, i Invite) (token string, err error)
	// Tones looks for DTMF in the sound of calls that offer no telephone-event.
	Tones bool
	// Silent is after how long without RTP a call that is not on hold is over; 0 =
	// DefaultSilent.
	Silent time.Duration
	// Rate is how many SIP messages a second are read; 0 = DefaultRate. Twice as many may
	// come at once.
	Rate int
	// Sources is how many addresses may send SIP over UDP in the life of a Server; 0 =
	// DefaultSources. Beyond it those that are new are not heard.
	Sources int
	// Log is told of calls that fail and of what callers do wrong; nil = nobody is.
	Log *slog.Logger
}

// Invite is a call that asks to be answered.
type Invite struct {
	CallID   string
	From, To string // the users, such as "+15550100"
	User     string // who gave a password; "" = nobody was asked
	Remote   netip.AddrPort
	// Header gives the first value of a header, "" when there is none.
	Header func(name string) string
}

// off turns a listener off.
const off = "off"

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	if c.UDP == "" {
		c.UDP = DefaultListen
	}
	if c.TCP == "" {
		c.TCP = DefaultListen
	}
	if c.Lowest == 0 && c.Highest == 0 {
		c.Lowest, c.Highest = DefaultLowest, DefaultHighest
	}
	if c.Calls == 0 {
		c.Calls = min(DefaultCalls, max(1, pairs(c.Lowest, c.Highest)))
	}
	if len(c.Codecs) == 0 {
		c.Codecs = []Codec{PCMU, PCMA}
	}
	if c.Realm == "" {
		c.Realm = "parley"
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"MD5"}
	}
	if c.Silent == 0 {
		c.Silent = DefaultSilent
	}
	if c.Rate == 0 {
		c.Rate = DefaultRate
	}
	if c.Sources == 0 {
		c.Sources = DefaultSources
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// pairs is how many calls a range of ports is enough for.
func pairs(lowest, highest int) int { return (highest - (lowest + lowest%2) + 1) / 2 }

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("sip: %s: %v: %s", field, value, remedy))
	}
	beyond := false
	for _, l := range []struct{ field, address string }{{"udp", c.UDP}, {"tcp", c.TCP}} {
		if l.address == off {
			continue
		}
		host, _, err := net.SplitHostPort(l.address)
		if err != nil {
			fault(l.field, l.address, `give host and port, such as "127.0.0.1:5060", or "off"`)
			continue
		}
		ip, err := netip.ParseAddr(host)
		beyond = beyond || (host != "localhost" && (err != nil || !ip.IsLoopback()))
	}
	if c.UDP == off && c.TCP == off {
		fault("udp", c.UDP, "listen at one of udp and tcp")
	}
	if beyond && len(c.Peers) == 0 && c.Password == nil {
		fault("peers", "none", "give the addresses of those who may call, or ask for a password: the server listens beyond this machine")
	}
	if _, err := netip.ParseAddr(c.Address); c.Address != "" && err != nil {
		fault("address", c.Address, `give an IP address, such as "192.0.2.10"`)
	}
	c.validateBounds(fault)
	return errors.Join(faults...)
}

func (c Config) validateBounds(fault func(field string, value any, remedy string)) {
	if c.Lowest < lowestPort || c.Highest > 65535 || pairs(c.Lowest, c.Highest) < 1 {
		fault("lowest", fmt.Sprintf("%d-%d", c.Lowest, c.Highest), fmt.Sprintf("give a range of ports from %d to 65535 with an even one and the one behind it", lowestPort))
	} else if c.Calls > pairs(c.Lowest, c.Highest) {
		fault("calls", c.Calls, fmt.Sprintf("the ports %d-%d are enough for %d", c.Lowest, c.Highest, pairs(c.Lowest, c.Highest)))
	}
	if c.Calls < 1 || c.Calls > mostCalls {
		fault("calls", c.Calls, fmt.Sprintf("use 0 for the default, or 1 to %d", mostCalls))
	}
	for i, codec := range c.Codecs {
		if (codec != PCMU && codec != PCMA) || slices.Index(c.Codecs, codec) != i {
			fault(fmt.Sprintf("codecs[%d]", i), codec, "use PCMU and PCMA, each once")
		}
	}
	for i, a := range c.Algorithms {
		if a != "MD5" && a != "SHA-256" {
			fault(fmt.Sprintf("algorithms[%d]", i), a, "use MD5 and SHA-256")
		}
	}
	if strings.ContainsAny(c.Realm, "\"\\\r\n") {
		fault("realm", fmt.Sprintf("%q", c.Realm), "leave out quotes, backslashes and line ends")
	}
	if c.Silent < time.Second || c.Silent > longest {
		fault("silent", c.Silent, fmt.Sprintf("use 0 for the default, or 1s to %v", longest))
	}
	if c.Rate < 1 || c.Rate > mostRate {
		fault("rate", c.Rate, fmt.Sprintf("use 0 for the default, or 1 to %d messages a second", mostRate))
	}
	if c.Sources < 1 || c.Sources > mostSources {
		fault("sources", c.Sources, fmt.Sprintf("use 0 for the default, or 1 to %d", mostSources))
	}
}
