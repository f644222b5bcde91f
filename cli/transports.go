// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"

	"github.com/parley-voice/parley/internal/engines"
	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/codec/libopus"
	"github.com/parley-voice/parley/transport/livekit"
	"github.com/parley-voice/parley/transport/realtime"
	"github.com/parley-voice/parley/transport/rtvi"
	"github.com/parley-voice/parley/transport/sip"
	"github.com/parley-voice/parley/transport/telephony"
	"github.com/parley-voice/parley/transport/websocket"
)

// Where the transports are.
const (
	websocketPath = "/v1/ws"
	realtimePath  = "/v1/realtime"
	rtviPath      = "/v1/rtvi/"
	streamPath    = "/twilio/stream"
	voicePath     = "/twilio/voice"
)

// closer lets a transport go away.
type closer = func(context.Context) error

// mounts lists the transports that parley serve has, as the configuration wants them.
// Adding one is adding its line here.
func mounts(c *serve.Config) (list []serve.Mount) {
	add := func(wanted bool, m serve.Mount) {
		if wanted {
			list = append(list, m)
		}
	}
	t := &c.Transports
	phone := &telephones{config: c}
	add(t.WebSocket, serve.Mount{Path: websocketPath, Kind: websocket.Kind, About: "WebSocket, parley.v1", New: websocketTransport(c)})
	add(t.Realtime, serve.Mount{Path: realtimePath, Kind: realtime.Kind, About: "clients of OpenAI's Realtime API", New: realtimeTransport})
	add(t.RTVI, serve.Mount{Path: rtviPath, Kind: rtvi.Kind, About: "Pipecat's clients (RTVI): the WebSocket at ws, POST to connect", New: rtviTransport})
	add(t.Telephony, serve.Mount{Path: streamPath, Kind: telephony.Kind, About: "media streams of Twilio, Telnyx, Plivo and Exotel", New: phone.stream})
	add(t.Telephony && t.Twilio != "", serve.Mount{Path: voicePath, Kind: telephony.Kind, About: "Twilio's webhook for calls that come in", New: phone.voice})
	add(c.SIP.Listen != "", serve.Mount{Kind: sip.Kind, About: "SIP at " + c.SIP.Listen, New: sipTransport(c)})
	add(c.LiveKit.URL != "", serve.Mount{Kind: livekit.Kind, About: "LiveKit, rooms of " + c.LiveKit.URL, New: livekitTransport(c)})
	return list
}

func websocketTransport(c *serve.Config) func(transport.Host, serve.MountOptions) (http.Handler, closer, error) {
	return func(h transport.Host, o serve.MountOptions) (http.Handler, closer, error) {
		opus, free, err := opusEncoders(context.Background())
		if err != nil {
			return nil, nil, err
		}
		s, err := websocket.New(websocket.Config{Origins: o.OriginPatterns, Compression: c.Transports.Compression, Opus: opus}, h)
		if err != nil {
			return nil, nil, errors.Join(err, free())
		}
		return s, func(ctx context.Context) error { return errors.Join(s.Close(ctx), free()) }, nil
	}
}

// opusEncoders finds libopus among the engines; nil when the set has none: then Opus is
// heard and not spoken.
func opusEncoders(ctx context.Context) (codec.OpusFactory, func() error, error) {
	set, err := engines.Find(engines.Options{})
	if err != nil || set.Opus() == "" {
		return nil, func() error { return nil }, err
	}
	l, err := libopus.New(ctx, libopus.Config{Engine: set.Opus(), Compiled: set.Compiled()})
	if err != nil {
		return nil, nil, err
	}
	return l, l.Close, nil
}

func realtimeTransport(h transport.Host, o serve.MountOptions) (http.Handler, closer, error) {
	s, err := realtime.New(realtime.Config{Origins: o.OriginPatterns, Check: o.Check}, h)
	return s, nil, err
}

func rtviTransport(h transport.Host, o serve.MountOptions) (http.Handler, closer, error) {
	s, err := rtvi.New(rtvi.Config{Origins: o.OriginPatterns, URL: o.PublicURL, Version: programVersion(), Check: o.Check}, h)
	return s, nil, err
}

// telephones are the transports of telephone providers, which share a server.
type telephones struct {
	config *serve.Config
	server atomic.Pointer[telephony.Server]
}

// stream takes the calls.
func (t *telephones) stream(h transport.Host, o serve.MountOptions) (http.Handler, closer, error) {
	config := telephony.Config{Log: o.Log}
	if ref := t.config.Transports.Twilio; ref != "" {
		config.Secret = func(context.Context) (string, error) { return ref.Resolve(o.Getenv) }
	}
	if o.PublicURL != "" {
		public, err := url.Parse(o.PublicURL)
		if err != nil {
			return nil, nil, err
		}
		config.Public = public
	}
	s, err := telephony.New(config, h)
	if err != nil {
		return nil, nil, err
	}
	t.server.Store(s)
	return s, nil, nil
}

// voice answers calls that come in; it stands behind stream in the list.
func (t *telephones) voice(_ transport.Host, o serve.MountOptions) (http.Handler, closer, error) {
	h, err := t.server.Load().Voice(func(context.Context, telephony.Ring) (string, error) { return o.Issue(telephony.Kind) }, streamPath, false)
	return h, nil, err
}

// sipTransport answers calls by SIP. Who calls is known by address or password, and has a
// token made for the call; else the token is in the call's header, or in development mode
// nowhere.
func sipTransport(c *serve.Config) func(transport.Host, serve.MountOptions) (http.Handler, closer, error) {
	return func(h transport.Host, o serve.MountOptions) (http.Handler, closer, error) {
		config := sip.Config{
			UDP: c.SIP.Listen, TCP: c.SIP.Listen, Address: c.SIP.Address, Lowest: int(c.SIP.Lowest), Highest: int(c.SIP.Highest),
			Tones: c.SIP.Tones, Log: o.Log,
		}
		for _, p := range c.SIP.Peers {
			prefix, err := netip.ParsePrefix(p)
			if err != nil {
				return nil, nil, err
			}
			config.Peers = append(config.Peers, prefix)
		}
		if c.SIP.Password != "" {
			config.Password = func(_ context.Context, user string) (string, bool) {
				secret, err := c.SIP.Password.Resolve(o.Getenv)
				return secret, err == nil && user == c.SIP.User
			}
		}
		if len(config.Peers) > 0 || config.Password != nil {
			config.Token = func(context.Context, sip.Invite) (string, error) { return o.Issue(sip.Kind) }
		}
		s, err := sip.New(config, h)
		if err != nil {
			return nil, nil, err
		}
		if err := s.Listen(); err != nil {
			return nil, nil, err
		}
		return nil, serving(s.Serve), nil
	}
}

// serving runs a transport of its own, and gives what ends it.
func serving(serve func(context.Context) error) closer {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx) }()
	return func(within context.Context) error {
		stop()
		select {
		case err := <-ended:
			return err
		case <-within.Done():
			return context.Cause(within)
		}
	}
}
