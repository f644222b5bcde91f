// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/parley-voice/parley/transport"
)

// recordedOpus are packets that libopus 1.3.1 made of a tone of 440 Hz, in each of the
// modes of Opus. config is the number of RFC 6716 section 3.1.
var recordedOpus = []struct {
	name    string
	config  byte
	samples int
	packets []string
}{
	{"SILK, narrow band", 1, 320, []string{
		"CIP5AtAc/e2dDgRv83UnTWF3H+A=",
		"CwGsRm8TDcXE3DyX1xwJP5eVnLw=",
		"C0EBqodMC4ZRknpcATyxt75owAA=",
		"CwGjbHcG2dvUZam34moh6UkVf7A=",
		"CJ/wcHcyql6P9IWPSbIUX+tl29A=",
	}},
	{"SILK, wide band, 60 ms", 11, 960, []string{
		"W0ES4P5vdAqRl7zu4o36RzXrQhY+kK1wqJ2Yo8Uzo6OqBZqBsq5wMreiNSNobdSuNWTqivSeanacSpOC9j+ts4bXNv5Wc89OAAAAAAAAAAAAAAAAAAAAAAAA",
		"W0EC7FSxki9VEk3eBJPn4eOLxJw8MOnZJ/95pkCO4egIVRrSHOOnUaCDaMQEnMp7J+/T7+P2WxWtJ3qUDlYzrA7Z7DKhsHZ2lYeI9fHhX5GLdPMl44IfOQAA",
		"W0EF7dk3WtOrAYkNeOQe78kxuYT6n9Pm0JkScjWBod/1ODa7mIXxYAIKYHJG0joExE/+N+dfPTqLAOzCYmoMgPrMOKGxSYuwCxrR9xSqLc//M6piyAAAAAAA",
	}},
	{"hybrid", 15, 320, []string{
		"eIOcvQ4ugFcCkrq8f5ac/R13VmRYIAFxzNkzfoJ0AWbN5t3C7JOlgJBomM8DDUWGlOKSV2BMGKb51QEd",
		"eK3s9OkNKqPsvVrXko89UQ/kSa8ZpfvQn2ROzC5nWq5rnBOAInbdt5Y1yXYTdqqSvqP+ZuzkD1Lpk5pZ",
		"eLWWQE5q8cCxUBTEIPWsf5ThPz+mvq/iAPRs/ca2HwDPwQTHvbpTpUdW8mMQMXNPmID5euOjv8cdb1of",
		"eKYWpQU9Srf1jU+hTxEe0TYC3EJMZOwTpHN8C+EyfKcwdtEuq+4oVlZc8SCKsg+LrxDVVUY6wulDYNUf",
		"eKZkbAmXt33YReSCagZ7WxphebSsw2O1IEhcXqNXn3El23Bvrxz5+St+aRtAbaKzRw1hRWFg4Ine7uIf",
	}},
	{"CELT", 31, 320, []string{
		"+LVARUkl+/DEBhm4N7edVHjotKqEKtyOrNApMVhPChZpKxvbBSHumExrFnj/kYd9Sljll70oRIkN3rux",
		"+LGuh0yVqWFHg8HSaCgHpYiuBhJdFA58w9GbMshqOmeAHQF1KcJrH0CkVuIDwJprmks31ERcYC5rI5zs",
		"+MB7NYr/YSA0KrzFtNaH4zU5rlwoqLJjqCSvPKaQF4v9Y2Vnm6eVSdSjjXADJ/Ky4BcSIItNQLDJFKLb",
		"+PBmYjJgkAVtDwI7UpXQtG5CiFnEREUsS2FnMmtuBCZ85o6w7eaVXcfcI/9ceSOuDzTFLrKa+5+Qjswh",
		"+MEO+EmzgWfCeqIdarhmLOZstSmdRzw6+2PEKMwUHQBnbJIxeb190J7dccxFNLi5ucKENZZY/GswRgrb",
	}},
	{"CELT, stereo, 10 ms", 30, 160, []string{
		"9LU/DvaaQ9fD3kk81QruBLUdqzvb0Sl7aR43hF5MqxN80OZS0qthcQ==",
		"9LJHf329Hsab7eEBpxgD2YSWh+oYLUeah8Z2h18f+nAWa/rwr54HsQ==",
		"9KsJFzNYeMKHzQfMWyG9P3p6a+pqMNE0EWOmULoEOPUEcE2txdy+7A==",
		"9MBYlmTA00UxZvLnhUtEhKCDDdFMfnKRo/T/JovDXyMIkeGrflAC2w==",
		"9O188EL5LFZJ/07/Qk8UtATRAWLNRkOMQEv+9RAPS4C8AbyaIrA8IQ==",
		"9MAL520mBwzI5tBByteuGGlCBc3Yf11Y8Rbe9Ab4+5ldDXh9zLPy2w==",
		"9MAN98wt8UwzWSJkQkHxCh9Pt2O5Js6TMt+Lyy4gZ7NV4bVl/v3y2w==",
		"9O2QkjV3VH0MYRg6F55vxBbvTm9wppLFAuCTHUr90IEBwlZ234A8IQ==",
	}},
}

func packetOf(tb testing.TB, text string) []byte {
	tb.Helper()
	packet, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return packet
}

func opusDecoder(tb testing.TB) Decoder {
	tb.Helper()
	d, err := Format{Codec: NameOpus, Rate: 48000}.NewDecoder()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// All modes, mono and stereo, short and long packets.
func TestOpusModes(t *testing.T) {
	d := opusDecoder(t)
	for _, row := range recordedOpus {
		t.Run(row.name, func(t *testing.T) {
			d.Reset()
			var pcm []int16
			for _, text := range row.packets {
				packet, before := packetOf(t, text), len(pcm)
				if packet[0]>>3 != row.config {
					t.Fatalf("the packet is of configuration %d", packet[0]>>3)
				}
				var err error
				if pcm, err = d.Decode(pcm, packet); err != nil || len(pcm)-before != row.samples {
					t.Fatalf("%d samples, want %d: %v", len(pcm)-before, row.samples, err)
				}
			}
			end := pcm[len(pcm)-800:] // 22 periods, settled
			if amplitude, _, snr := tone(end, transport.SampleRate, 440); amplitude < 7000 || amplitude > 11000 || snr < 7 {
				t.Errorf("amplitude %.0f, want 9000; signal to noise %.1f dB", amplitude, snr)
			}
		})
	}
}

// What cannot be decoded costs itself, and not the stream.
func TestOpusRefusesWhatIsNone(t *testing.T) {
	d := opusDecoder(t)
	good := packetOf(t, recordedOpus[2].packets[0])
	for name, packet := range map[string][]byte{
		"empty":             {},
		"too long":          make([]byte, maxPacket+1),
		"no frame of three": {0x0B, 0},
		"more than 120 ms":  {0x1B, 63, 0},
		"odd halves":        append([]byte{0x09}, make([]byte, 17)...),
	} {
		out, err := d.Decode([]int16{7}, packet)
		if err == nil || !strings.HasPrefix(err.Error(), "codec: opus: a packet of ") || len(out) != 1 {
			t.Errorf("%s: %d samples, said %v", name, len(out), err)
		}
		if pcm, err := d.Decode(nil, good); err != nil || len(pcm) != transport.FrameSamples {
			t.Errorf("behind %s: %d samples, said %v", name, len(pcm), err)
		}
	}
}

// FuzzOpusDecoder: two packets of any bytes, one after the other.
func FuzzOpusDecoder(f *testing.F) {
	for _, row := range recordedOpus {
		f.Add(packetOf(f, row.packets[0]), packetOf(f, row.packets[1]))
	}
	f.Add([]byte{0xFF}, []byte{0x0B, 63})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d := opusDecoder(t)
		for _, packet := range [][]byte{first, second, first} {
			pcm, err := d.Decode(nil, packet)
			if len(pcm) > maxPacketSamples || err != nil && len(pcm) > 0 {
				t.Fatalf("%d samples, said %v", len(pcm), err)
			}
		}
	})
}

func BenchmarkOpusDecode(b *testing.B) {
	for _, row := range recordedOpus {
		b.Run(row.name, func(b *testing.B) {
			d, packet := opusDecoder(b), packetOf(b, row.packets[2])
			var pcm []int16
			b.ReportAllocs()
			for b.Loop() {
				pcm, _ = d.Decode(pcm[:0], packet)
			}
		})
	}
}
