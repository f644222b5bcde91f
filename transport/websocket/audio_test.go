// SPDX-License-Identifier: Apache-2.0

package websocket_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	coder "github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/transporttest"
	"github.com/parley-voice/parley/transport/websocket"
)

// tone is so many samples of a sine at a rate.
func tone(samples, rate int) []int16 {
	pcm := make([]int16, samples)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/float64(rate)))
	}
	return pcm
}

func little(pcm []int16) []byte {
	b := make([]byte, 0, 2*len(pcm))
	for _, v := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// TestAgentAudio shows the frames of a turn as a client gets them: announced, numbered,
// placed, and the same sound.
func TestAgentAudio(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{})
	sound := tone(1000, transport.SampleRate) // three frames and 40 samples
	if n := s.Play("t1", 3, sound); n != 4 {
		t.Fatalf("%d frames", n)
	}
	c.until("four frames", func() bool { return len(c.audio) == 4 })
	var heard []byte
	for i, a := range c.frames() {
		if a.Sequence != uint32(i) || a.Generation != 3 || a.Position != int64(i*320) {
			t.Errorf("frame %d: %+v", i, a)
		}
		heard = append(heard, a.Payload[:2*int(a.Samples)]...)
	}
	if !bytes.Equal(heard, little(sound)) {
		t.Error("the sound that came is not the one that was played")
	}
	if begin := await[*wire.AudioBegin](c, nil); begin.Turn != "t1" || begin.Generation != 3 || count[*wire.AudioBegin](c) != 1 {
		t.Errorf("%+v, %d times", begin, count[*wire.AudioBegin](c))
	}
}

// TestAgentAudioInAllFormats shows lengths and positions of each format.
func TestAgentAudioInAllFormats(t *testing.T) {
	for _, format := range []wire.Format{
		"pcm_s16le/8000", "pcm_s16le/11025", "pcm_s16le/12000", "pcm_s16le/22050", "pcm_s16le/24000", "pcm_s16le/32000",
		"pcm_s16le/44100", "pcm_s16le/48000", "g711_ulaw/8000", "g711_alaw/8000",
	} {
		t.Run(string(format), func(t *testing.T) {
			w := newWorld(t, websocket.Config{}, transporttest.Config{})
			c, s, welcome := w.enter(wire.Hello{Audio: &wire.Offered{Out: []wire.Format{format}}})
			if welcome.Audio.Out != format {
				t.Fatalf("%+v", welcome.Audio)
			}
			s.Burst("t1", 1, tone(10*320+7, transport.SampleRate))
			c.until("the frames", func() bool { return len(c.audio) == 11 })
			kind, rate := format.Split()
			bytesEach, samples, payload := 1, 0, 0
			if kind == wire.PCM {
				bytesEach = 2
			}
			last := wire.Audio{}
			for _, a := range c.frames() {
				samples += int(a.Samples)
				payload += len(a.Payload)
				last = a
			}
			end := int64(3207 * rate / 16000)
			if int64(samples) < end-11 || int64(samples) > end || last.Position+int64(last.Samples) != end {
				t.Errorf("%d samples, the last frame %d + %d; want %d", samples, last.Position, last.Samples, end)
			}
			if got, want := payload/bytesEach, 11*320*rate/16000; got < want-1 || got > want+1 {
				t.Errorf("%d samples of payload, want %d", got, want)
			}
			// What was heard to its end was heard to its end, however positions round.
			c.say(&wire.Played{Generation: 1, Position: end})
			if p := transporttest.Await[transport.Playout](s, nil); p.Position != 3207 || p.Turn != "t1" || p.Generation != 1 {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestCallerAudio shows that what a client sends is heard, in any format and any lumps.
func TestCallerAudio(t *testing.T) {
	for _, c := range []struct {
		format wire.Format
		lump   int
	}{{"pcm_s16le/16000", 320}, {"pcm_s16le/16000", 77}, {"pcm_s16le/48000", 4801}, {"pcm_s16le/8000", 160}, {"g711_alaw/8000", 333}} {
		t.Run(string(c.format), func(t *testing.T) {
			w := newWorld(t, websocket.Config{}, transporttest.Config{})
			client, s, _ := w.enter(wire.Hello{Audio: &wire.Offered{In: []wire.Format{c.format}}})
			kind, rate := c.format.Split()
			sound := tone(rate/4, rate)
			data, each := little(sound), 2
			if kind == wire.ALaw {
				data, each = bytes.Repeat([]byte{0xd5}, rate/4), 1
			}
			position := int64(1000) // the first frame may have any
			for n := uint32(0); len(data) > 0; n++ {
				lump := data[:min(len(data), c.lump*each)]
				client.speak(n, position, lump)
				position += int64(len(lump) / each)
				data = data[len(lump):]
			}
			client.say(&wire.EndOfUtterance{Keyed: wire.Keyed{Key: "k"}})
			if e := transporttest.Await[transporttest.EndOfUtterance](s, nil); e.Key != "k" {
				t.Errorf("%+v", e)
			}
			// All of it came before the end of the utterance, the last frame filled up.
			if n := len(s.Heard()); n < 4000 || n > 4320 {
				t.Errorf("%d samples", n)
			}
			if gaps := transporttest.Came[transport.Gap](s); len(gaps) > 0 {
				t.Errorf("gaps %+v", gaps)
			}
			if c.format == wire.DefaultFormat && !bytes.Equal(little(s.Heard()[:4000]), little(sound)) {
				t.Error("the sound that came is not the one that was sent")
			}
		})
	}
}

// TestMissingCallerAudio shows that a jump of the position is a gap, and a step back an
// error that costs the frame.
func TestMissingCallerAudio(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{})
	frame := little(tone(320, transport.SampleRate))
	c.speak(0, 0, frame)
	c.speak(4, 1280, frame)
	gap := transporttest.Await[transport.Gap](s, nil)
	if gap.Missing != 960 || gap.Reason != transport.GapLost {
		t.Errorf("%+v", gap)
	}
	c.speak(5, 640, frame)
	if e := await[*wire.Error](c, nil); e.Code != wire.FaultOrder || e.Field != "position" {
		t.Errorf("%+v", e)
	}
	c.speak(6, 1600, frame)
	c.speak(7, 1600+1<<40, frame) // began anew
	s.AwaitHeard(4*320 + 960)
	if n := len(transporttest.Came[transport.Gap](s)); n != 1 {
		t.Errorf("%d gaps", n)
	}
	if got := w.server.Stats(); got.Disorder != 1 || got.Faults != 0 {
		t.Errorf("%+v", got)
	}
}

// TestFence shows that a fence takes back what waits, reaches the client, once, and that the
// client's last word on what it heard passes.
func TestFence(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{})
	s.Play("t1", 4, tone(640, transport.SampleRate))
	c.until("two frames", func() bool { return len(c.audio) == 2 })
	c.say(&wire.Played{Generation: 4, Position: 320})
	transporttest.Await(s, func(p transport.Playout) bool { return p.Position == 320 && !p.Final })
	s.Fence("t1", 4)
	s.Fence("t1", 4)
	if f := await[*wire.Fence](c, nil); f.Turn != "t1" || f.Generation != 4 || f.Session {
		t.Errorf("%+v", f)
	}
	c.say(&wire.Played{Generation: 4, Position: 10_000, Final: true})
	transporttest.Await(s, func(p transport.Playout) bool { return p.Position == 640 && p.Final && p.Turn == "t1" })
	s.Play("t2", 5, tone(320, transport.SampleRate))
	c.until("the next turn", func() bool { return len(c.audio) == 3 })
	for _, a := range c.frames()[:2] {
		if a.Generation != 4 {
			t.Errorf("%+v", a)
		}
	}
	if n := count[*wire.Fence](c); n != 1 {
		t.Errorf("%d fences", n)
	}
	// What nobody remembers is counted and dropped.
	c.say(&wire.Played{Generation: 99, Position: 1})
	c.say(&wire.Played{Generation: 5, Turn: "t1", Position: 1})
	w.eventually(func() bool { return w.server.Stats().Strays == 2 })
	if n := len(transporttest.Came[transport.Playout](s)); n != 2 {
		t.Errorf("%d playouts", n)
	}
}

// TestPlayedWithoutAcks shows that a client that said it acknowledges nothing does not.
func TestPlayedWithoutAcks(t *testing.T) {
	no := false
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{Acks: &no})
	s.Play("t1", 1, tone(320, transport.SampleRate))
	c.say(&wire.Played{Generation: 1, Position: 1})
	if e := await[*wire.Error](c, nil); e.Code != wire.FaultUnexpected {
		t.Errorf("%+v", e)
	}
	if n := len(transporttest.Came[transport.Playout](s)); n != 0 {
		t.Errorf("%d playouts", n)
	}
}

// TestCompression shows that text is compressed for a client that asks, that sound is not,
// and that the time it takes is counted.
func TestCompression(t *testing.T) {
	w := newWorld(t, websocket.Config{Compression: true}, transporttest.Config{})
	for query, want := range map[string]string{"?compression=deflate": "deflate", "": "none"} {
		before := w.server.Stats().Deflating
		c := w.dial(&coder.DialOptions{CompressionMode: coder.CompressionContextTakeover}, query)
		c.say(&wire.Hello{Token: transporttest.Token})
		s := w.host.Next()
		if welcome := await[*wire.Welcome](c, nil); welcome.Compression != want {
			t.Errorf("%s: %s", query, welcome.Compression)
		}
		for range 20 {
			s.Emit(eventabi.SignalSilence, "", "no_input")
		}
		c.say(&wire.Text{Text: string(bytes.Repeat([]byte("hello "), 1000))})
		transporttest.Await[transporttest.Text](s, nil)
		sound := tone(3200, transport.SampleRate)
		s.Play("t1", 1, sound)
		c.until("the frames", func() bool { return len(c.audio) == 10 })
		var heard []byte
		for _, a := range c.frames() {
			heard = append(heard, a.Payload...)
		}
		if !bytes.Equal(heard, little(sound)) {
			t.Error("the sound that came is not the one that was played")
		}
		if spent := w.server.Stats().Deflating - before; (spent > 0) != (want == "deflate") {
			t.Errorf("%s: %v were spent on compression", query, spent)
		}
	}
}

// TestNoCompressionUnlessAllowed shows that it is the operator who decides.
func TestNoCompressionUnlessAllowed(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c := w.dial(&coder.DialOptions{CompressionMode: coder.CompressionContextTakeover}, "?compression=deflate")
	c.say(&wire.Hello{Token: transporttest.Token})
	if welcome := await[*wire.Welcome](c, nil); welcome.Compression != "none" {
		t.Errorf("%s", welcome.Compression)
	}
}

// TestTypedTextWhileSilent shows that a client need not send audio at all.
func TestTypedTextWhileSilent(t *testing.T) {
	w := newWorld(t, websocket.Config{Keepalive: 30 * time.Millisecond}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{})
	time.Sleep(200 * time.Millisecond) // several pings, which a reading client answers
	c.say(&wire.Text{Text: "hello"})
	transporttest.Await[transporttest.Text](s, nil)
	if n := len(transporttest.Came[transport.LinkState](s)); n != 0 {
		t.Errorf("the link changed %d times", n)
	}
}

// silence is 20 ms of it, as Opus has it.
func silence() []byte { return []byte{0xf8, 0xff, 0xfe} }

// muteOpus makes encoders that know one packet.
type muteOpus struct{ closed atomic.Int64 }

func (m *muteOpus) NewEncoder() (codec.Encoder, error) { return muteEncoder{m}, nil }

type muteEncoder struct{ of *muteOpus }

func (muteEncoder) Encode(dst []byte, _ []int16) ([]byte, error) {
	return append(dst, silence()...), nil
}
func (muteEncoder) Reset()   {}
func (e muteEncoder) Close() { e.of.closed.Add(1) }

// TestOpus shows packets both ways, with positions at 48000 Hz, and that an encoder is let
// go of with its connection.
func TestOpus(t *testing.T) {
	opus := &muteOpus{}
	w := newWorld(t, websocket.Config{Opus: opus}, transporttest.Config{})
	c, s, welcome := w.enter(wire.Hello{Audio: &wire.Offered{In: []wire.Format{"opus/48000"}, Out: []wire.Format{"opus/48000"}}})
	if welcome.Audio.In != "opus/48000" || welcome.Audio.Out != "opus/48000" || !slices.Contains(w.server.Capabilities().CodecsOut, "opus") {
		t.Fatalf("%+v", welcome.Audio)
	}
	s.Play("t1", 1, make([]int16, 400))
	c.until("two packets", func() bool { return len(c.audio) == 2 })
	for i, a := range c.frames() {
		if !bytes.Equal(a.Payload, silence()) || a.Position != int64(960*i) || a.Samples != []uint16{960, 240}[i] {
			t.Errorf("packet %d: %+v", i, a)
		}
	}
	c.say(&wire.Played{Generation: 1, Position: 1200})
	transporttest.Await(s, func(p transport.Playout) bool { return p.Position == 400 })
	for i := range 5 {
		c.speak(uint32(i), int64(960*i), silence())
	}
	s.AwaitHeard(5 * 320)
	c.speak(9, 960*9, silence()) // four packets are missing
	if gap := transporttest.Await[transport.Gap](s, nil); gap.Missing != 4*320 {
		t.Errorf("%+v", gap)
	}
	c.speak(10, 960*10, []byte{0xff})
	await(c, func(e *wire.Error) bool { return e.Field == "payload" })
	s.Close("test_over")
	w.eventually(func() bool { return opus.closed.Load() == 1 })
}
