// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-voice/parley/internal/voices"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

// TestHalves: packets of any whole 10 ms, in whatever order, become the same frames.
func TestHalves(t *testing.T) {
	sound := make([]int16, 60*half)
	for i := range sound {
		sound[i] = int16(i)
	}
	for _, ms := range []int{10, 20, 30, 40, 60} {
		var h halves
		frames := map[int64]int16{}
		base := uint32(math.MaxUint32 - 1000) // and over its end
		size := ms * 8
		var packets []int
		for at := 0; at < len(sound); at += size {
			packets = append(packets, at)
		}
		packets[1], packets[2] = packets[2], packets[1]
		packets = slices.Insert(packets, 4, packets[3]) // twice
		for _, at := range packets {
			h.put(time.Duration(at)*time.Second/8000, 7, base+uint32(at), sound[at:at+size], func(slot int64, pcm []int16) {
				if _, twice := frames[slot]; twice || len(pcm) != whole {
					t.Errorf("%d ms: slot %d comes again, or has %d samples", ms, slot, len(pcm))
				}
				frames[slot] = pcm[0]
			})
		}
		if len(frames) != 30 {
			t.Errorf("%d ms: %d frames; want 30", ms, len(frames))
		}
		for slot, first := range frames {
			if want := int16((slot - firstSlot) * whole); first != want {
				t.Errorf("%d ms: slot %d begins with sample %d; want %d", ms, slot-firstSlot, first, want)
			}
		}
	}
}

// TestHalvesAfterSilence: a sender that leaves out silence comes back where its clock is.
func TestHalvesAfterSilence(t *testing.T) {
	var h halves
	var slots []int64
	note := func(slot int64, _ []int16) { slots = append(slots, slot-firstSlot) }
	at := func(n int) time.Duration { return time.Duration(n) * 20 * time.Millisecond }
	h.put(at(0), 7, 1000, make([]int16, whole), note)
	h.put(at(50), 7, 1000+50*whole+3, make([]int16, whole), note) // not quite on a multiple
	h.put(at(51), 7, 1000+51*whole+3, make([]int16, whole), note)
	h.put(0, 7, 0, make([]int16, 7), note)
	h.put(0, 7, 0, nil, note)
	h.put(0, 7, 0, make([]int16, longestPacket+half), note)
	// Another sender, with numbers of its own; and one that begins to count anew.
	h.put(at(52), 8, 4000000000, make([]int16, whole), note)
	h.put(at(53), 8, 4000000000+whole, make([]int16, whole), note)
	h.put(at(103), 8, 5, make([]int16, whole), note)
	h.put(at(104), 8, 5+whole, make([]int16, whole), note)
	if fmt.Sprint(slots) != "[0 50 51 52 53 103 104]" {
		t.Errorf("slots %v", slots)
	}
	if h.malformed != 3 || h.restarts != 2 {
		t.Errorf("%d malformed, %d restarts", h.malformed, h.restarts)
	}
}

// TestHalvesOfAnything: whatever comes, slots are numbers that a jitter buffer can take.
func TestHalvesOfAnything(t *testing.T) {
	var h halves
	r := rand.New(rand.NewPCG(3, 4))
	for range 100000 {
		h.put(time.Duration(r.Int64N(int64(time.Hour))), uint32(r.IntN(3)), r.Uint32(), make([]int16, half*(1+r.IntN(12))), func(slot int64, _ []int16) {
			if slot < 0 || slot > 1<<40 {
				t.Fatalf("slot %d", slot)
			}
		})
	}
}

// event makes the payload of a telephone-event.
func event(key byte, end bool, duration uint16) []byte {
	b := []byte{byte(strings.IndexByte(keys, key)), 10, 0, 0}
	if end {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], duration)
	return b
}

// TestEvents: a key is told once, whatever of its packets is lost or comes again.
func TestEvents(t *testing.T) {
	type packet struct {
		at        time.Duration
		timestamp uint32
		payload   []byte
	}
	ms := time.Millisecond
	for _, c := range []struct {
		name    string
		packets []packet
		until   time.Duration
		want    string
	}{
		{"three ends", []packet{{0, 1, event('5', false, 160)}, {20 * ms, 1, event('5', false, 320)}, {40 * ms, 1, event('5', true, 480)}, {40 * ms, 1, event('5', true, 480)}, {40 * ms, 1, event('5', true, 480)}}, time.Second, "5/60"},
		{"only an end", []packet{{0, 1, event('#', true, 800)}}, time.Second, "#/100"},
		{"no end", []packet{{0, 1, event('A', false, 160)}, {20 * ms, 1, event('A', false, 320)}}, time.Second, "A/40"},
		{"not over", []packet{{0, 1, event('A', false, 160)}}, 100 * ms, ""},
		{"no end, and the next key", []packet{{0, 1, event('1', false, 160)}, {50 * ms, 900, event('2', false, 160)}, {70 * ms, 900, event('2', true, 320)}}, time.Second, "1/20 2/40"},
		{"the same key twice", []packet{{0, 1, event('1', true, 160)}, {50 * ms, 900, event('1', true, 160)}}, time.Second, "1/20 1/20"},
		{"late", []packet{{0, 900, event('2', true, 160)}, {10 * ms, 1, event('1', true, 160)}}, time.Second, "2/20"},
		{"counts anew", []packet{{0, 900, event('2', true, 160)}, {time.Second, 1, event('1', true, 160)}}, time.Second, "2/20 1/20"},
		{"wrong", []packet{{0, 1, []byte{1}}, {0, 1, []byte{99, 0, 0, 0}}}, time.Second, ""},
	} {
		var e events
		var told []string
		tell := func(p press, over bool) {
			if over {
				told = append(told, fmt.Sprintf("%s/%d", p.digit, p.held.Milliseconds()))
			}
		}
		for _, p := range c.packets {
			tell(e.put(p.at, p.timestamp, p.payload))
		}
		tell(e.tick(c.until))
		tell(e.tick(c.until))
		if got := strings.Join(told, " "); got != c.want {
			t.Errorf("%s: %q; want %q", c.name, got, c.want)
		}
	}
}

func TestRelay(t *testing.T) {
	for body, want := range map[string]string{
		"Signal=5\r\nDuration=160\r\n": "5/160", "Signal= * \r\n": "*/0", "signal=d": "D/0", "7": "7/0", "#\r\n": "#/0",
		"": "", "Signal=55": "", "Signal=": "", "Duration=10": "", "Signal=1\nDuration=x": "1/0",
	} {
		got := ""
		if p, ok := relay([]byte(body)); ok {
			got = fmt.Sprintf("%s/%d", p.digit, p.held.Milliseconds())
		}
		if got != want {
			t.Errorf("%q: %q; want %q", body, got, want)
		}
	}
}

// pair makes the sound of a key, with noise.
func pair(low, high, amplitude, noise float64, samples int) []int16 {
	r := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, samples)
	for i := range pcm {
		x := float64(i) / 8000 * 2 * math.Pi
		pcm[i] = int16(amplitude*(math.Sin(x*low)+math.Sin(x*high)) + noise*r.NormFloat64())
	}
	return pcm
}

func tell(t *tones, pcm []int16) (told string) {
	for len(pcm) > 0 {
		n := min(whole, len(pcm))
		t.put(pcm[:n], func(p press) { told += p.digit })
		pcm = pcm[n:]
	}
	return told
}

// TestTones: all keys, loud and soft, a little off, in noise; once each, however long; and
// no key in one tone, in noise, in voice-like sound, or in what is too short.
func TestTones(t *testing.T) {
	rows, columns := []float64{697, 770, 852, 941}, []float64{1209, 1336, 1477, 1633}
	quiet := make([]int16, 1600)
	for i, key := range tonePad {
		low, high := rows[i/4], columns[i%4]
		for name, sound := range map[string][]int16{
			"loud": pair(low, high, 12000, 0, 800), "soft": pair(low, high, 400, 0, 800), "off": pair(low*1.015, high*0.985, 4000, 0, 800),
			"noisy": pair(low, high, 4000, 800, 800), "long": pair(low, high, 4000, 0, 16000),
		} {
			if got := tell(newTones(), append(sound, quiet...)); got != string(key) {
				t.Errorf("%c, %s: %q", key, name, got)
			}
		}
	}
	two := append(append(pair(697, 1209, 4000, 0, 800), quiet...), append(pair(697, 1209, 4000, 0, 800), quiet...)...)
	if got := tell(newTones(), two); got != "11" {
		t.Errorf("the same key twice: %q", got)
	}
	for name, sound := range map[string][]int16{
		"one tone": pair(697, 697, 6000, 0, 1600), "dial tone": pair(350, 440, 6000, 0, 8000), "ringing": pair(440, 480, 6000, 0, 8000),
		"noise": pair(0, 0, 0, 6000, 16000), "silence": quiet, "twisted": pair(697, 5*1209, 6000, 0, 1600), "short": pair(697, 1209, 4000, 0, 200),
	} {
		if got := tell(newTones(), append(sound, quiet...)); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzMedia(f *testing.F) {
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 0, SequenceNumber: 1, Timestamp: 160}, Payload: make([]byte, 160)}
	b, _ := p.Marshal()
	f.Add(b)
	p.PayloadType, p.Payload = 101, event('5', true, 160)
	b, _ = p.Marshal()
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, from := silentMedia(t)
		defer m.close()
		for i := range 4 {
			m.read(time.Duration(i)*20*time.Millisecond, from, data)
		}
	})
}

// TestTonesInSpeech: people who speak press no keys.
func TestTonesInSpeech(t *testing.T) {
	all, err := voices.All()
	if err != nil {
		t.Fatal(err)
	}
	down, err := codec.NewResampler(transport.SampleRate, codec.G711Rate)
	if err != nil {
		t.Fatal(err)
	}
	seconds := 0
	for _, v := range all {
		clip, err := v.Clip()
		if err != nil {
			t.Fatal(err)
		}
		narrow := down.Resample(nil, clip.PCM)
		seconds += len(narrow) / codec.G711Rate
		if got := tell(newTones(), codec.MuLaw.Decode(nil, codec.MuLaw.Encode(nil, narrow))); got != "" {
			t.Errorf("%s presses %q", v.ID, got)
		}
	}
	t.Logf("%d voices, %d s", len(all), seconds)
}
