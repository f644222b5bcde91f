// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/transporttest"
)

// caller is a phone that sends sound all the time, as phones do.
type caller struct {
	*phone
	codec Codec
	stop  context.CancelFunc
	done  sync.WaitGroup

	line  sync.Mutex // what is to be said
	words []int16
}

// payload is the codec's number in the phone's offer.
func (c *caller) payload() uint8 {
	if c.codec == PCMA {
		return 8
	}
	return 0
}

func (c *caller) talk(ctx context.Context) {
	down, _ := codec.NewResampler(transport.SampleRate, codec.G711Rate)
	ticker := time.NewTicker(transport.FrameDuration)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		frame := make([]int16, transport.FrameSamples)
		c.line.Lock()
		c.words = c.words[:copy(c.words, c.words[copy(frame, c.words):])]
		c.line.Unlock()
		c.mu.Lock()
		timestamp := c.timestamp
		c.timestamp += whole
		c.mu.Unlock()
		_ = c.sendQuietly(c.payload(), timestamp, law(c.codec).Encode(nil, down.Resample(nil, frame))) // until the network is gone
	}
}

func (c *caller) Speak(pcm []int16) error {
	c.line.Lock()
	defer c.line.Unlock()
	c.words = append(c.words, pcm...)
	return nil
}

// Heard is what came by RTP, by its timestamps: where nothing was sent there is silence.
func (c *caller) Heard() []int16 {
	c.mu.Lock()
	packets := slices.Clone(c.heard)
	c.mu.Unlock()
	var narrow []int16
	for i, p := range packets {
		if i > 0 {
			if gap := int(p.Timestamp-packets[i-1].Timestamp) - whole; gap > 0 && gap < 10*8000 {
				narrow = append(narrow, make([]int16, gap)...)
			}
		}
		narrow = law(c.codec).Decode(narrow, p.Payload)
	}
	up, _ := codec.NewResampler(codec.G711Rate, transport.SampleRate)
	return up.Resample(nil, narrow)
}

func (c *caller) Send(what any) error {
	switch what := what.(type) {
	case transport.Control:
		c.mu.Lock()
		timestamp := c.timestamp
		c.mu.Unlock()
		for i := range 4 {
			if err := c.sendQuietly(c.event, timestamp, event(what.Digit[0], i > 0, 800)); err != nil {
				return err
			}
		}
		time.Sleep(2 * transport.FrameDuration) // a key has a time of its own
		return nil
	case transporttest.Muted:
		direction := "a=sendrecv"
		if what.On {
			direction = "a=sendonly"
		}
		if res := c.request(sip.INVITE, c.offer(direction), "application/sdp"); res.StatusCode != 200 {
			return fmt.Errorf("hold: %s", res.StartLine())
		}
		return nil
	}
	return errors.ErrUnsupported
}

func (c *caller) Leave() error {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	return c.session.Bye(ctx)
}

func (c *caller) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byes) > 0
}

// Drop is a phone without a network.
func (c *caller) Drop() error {
	c.stop()
	return c.rtp.Close()
}

// Garble sends what is no RTP, and RTP that is none of this call.
func (c *caller) Garble() error {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 50 {
		b := make([]byte, 1+r.IntN(200))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if n%2 == 0 {
			b[0] = 0x80
		}
		if _, err := c.rtp.WriteToUDPAddrPort(b, c.to); err != nil {
			return err
		}
	}
	return nil
}

// Close hangs up, so that nobody waits for the answer to a goodbye.
func (c *caller) Close() error {
	c.stop()
	c.done.Wait()
	if c.Ended() {
		return nil
	}
	return c.Leave()
}

type endpoint struct {
	t      *testing.T
	server *Server
}

func (e endpoint) Connect(ctx context.Context, l transporttest.Login) (transporttest.Client, error) {
	p := newPhone(e.t, e.server, "udp")
	c := &caller{phone: p, codec: PCMU}
	body := p.offer()
	if l.Codec != "" {
		c.codec = Codec(l.Codec)
		text := strings.Replace(string(body), "RTP/AVP 8 0 101", fmt.Sprintf("RTP/AVP %d 101", c.payload()), 1)
		if c.codec != PCMU && c.codec != PCMA {
			text = strings.Replace(text, "a=rtpmap:0 PCMU/8000", "a=rtpmap:0 "+l.Codec+"/8000", 1)
		}
		body = []byte(text)
	}
	status := p.dial(ctx, body, sipgo.AnswerOptions{}, bearing(l.Token))
	if status != 200 {
		return nil, refusal(status, p.session.InviteResponse)
	}
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	c.done.Go(func() { c.talk(ctx) })
	return c, nil
}

// refusal reads what a caller is told beside the status.
func refusal(status int, res *sip.Response) error {
	h := res.GetHeader("Warning")
	if h == nil {
		return fmt.Errorf("turned down with %d", status)
	}
	code, rest, _ := strings.Cut(strings.Trim(strings.TrimPrefix(h.Value(), "399 parley "), `"`), ":")
	refused := &transport.RefusedError{Code: transport.RefusalCode(strings.TrimSpace(code)), Reason: rest}
	if _, list, ok := strings.Cut(rest, "use one of "); ok {
		refused.Supported = strings.Split(list, ", ")
	}
	return refused
}

// TestConformance: the contract of transports, over RTP.
func TestConformance(t *testing.T) {
	const (
		telephone = "a telephone carries sound and keys"
		packets   = "packets that nobody reads are the network's"
		fixed     = "a call stays where it is"
	)
	transporttest.Run(t, transporttest.Subject{
		Kind:    Kind,
		Foreign: foreign(),
		Start: func(t *testing.T, h transport.Host) transporttest.Endpoint {
			s, err := New(Config{UDP: "127.0.0.1:0", TCP: "off", Lowest: 36000, Highest: 37999, Silent: time.Second}, h)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Listen(); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
			done := make(chan error, 1)
			go func() { done <- s.Serve(ctx) }()
			t.Cleanup(func() {
				stop()
				if err := <-done; err != nil {
					t.Errorf("serve: %v", err)
				}
			})
			return endpoint{t, s}
		},
		Codecs: []string{"PCMU", "PCMA"},
		Lacks: map[transporttest.Ability]string{
			transporttest.CanText: telephone, transporttest.CanEnd: telephone, transporttest.CanCancel: telephone, transporttest.CanStop: telephone,
			transporttest.CanContext: telephone, transporttest.CanRespond: telephone, transporttest.CanConfigure: telephone, transporttest.CanTools: telephone,
			transporttest.CanRead: telephone, transporttest.CanStall: packets, transporttest.CanResume: fixed, transporttest.CanRoute: fixed,
		},
	})
}
