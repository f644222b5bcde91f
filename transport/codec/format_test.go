// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/transport"
)

// formats are all that need no engine.
func formats() []Format {
	list := []Format{{Codec: NamePCMU}, {Codec: NamePCMA}, {Codec: NamePCM}} // of 16000 Hz
	for _, rate := range Rates() {
		list = append(list, Format{Codec: NamePCM, Rate: rate})
	}
	return list
}

// A tone goes there and back.
func TestFormatsThereAndBack(t *testing.T) {
	for _, f := range formats() {
		e, err := f.NewEncoder()
		if err != nil {
			t.Fatal(err)
		}
		d, err := f.NewDecoder()
		if err != nil {
			t.Fatal(err)
		}
		var out []int16
		for frame := range slices.Chunk(sine(16000, 16000, 1000, 0.5), transport.FrameSamples) {
			wire, err := e.Encode(nil, frame)
			if err != nil {
				t.Fatal(err)
			}
			if out, err = d.Decode(out, wire); err != nil {
				t.Fatal(err)
			}
		}
		floor := 65.0
		if f.Codec != NamePCM {
			floor = 33
		}
		if _, _, snr := tone(out[1600:14400], 16000, 1000); snr < floor || len(out) < 16000 || len(out) > 16001 {
			t.Errorf("%+v: %d samples, signal to noise %.1f dB", f, len(out), snr)
		}
		e.Close()
	}
}

// Rule 4.
func TestFormatsTakeNoMemory(t *testing.T) {
	for _, f := range formats() {
		e, _ := f.NewEncoder()
		d, _ := f.NewDecoder()
		frame, wire, pcm := sine(320, 16000, 440, 0.5), make([]byte, 0, 4000), make([]int16, 0, 1000)
		pass := func() {
			wire, _ = e.Encode(wire[:0], frame)
			pcm, _ = d.Decode(pcm[:0], wire)
		}
		pass()
		if n := testing.AllocsPerRun(100, pass); n != 0 {
			t.Errorf("%+v: %v allocations a frame", f, n)
		}
	}
}

// Rule 5.
func TestResetLeavesNothing(t *testing.T) {
	for _, f := range formats() {
		e, _ := f.NewEncoder()
		first, _ := e.Encode(nil, make([]int16, 320))
		if _, err := e.Encode(nil, sine(320, 16000, 440, 1)); err != nil {
			t.Fatal(err)
		}
		e.Reset()
		if again, _ := e.Encode(nil, make([]int16, 320)); !slices.Equal(again, first) {
			t.Errorf("%+v: something of the stream before is heard", f)
		}
	}
}

func TestHalfASampleIsRefused(t *testing.T) {
	d, _ := Format{Codec: NamePCM}.NewDecoder()
	out, err := d.Decode([]int16{7}, make([]byte, 2001))
	if err == nil || !strings.Contains(err.Error(), "2001 bytes") || len(out) != 1 {
		t.Errorf("%d samples, said %v", len(out), err)
	}
}

func TestFormatReportsFaults(t *testing.T) {
	for _, f := range []Format{{}, {Codec: "flac"}, {Codec: NamePCM, Rate: 8001}, {Codec: NamePCMU, Rate: 16000}, {Codec: NameOpus, Rate: 16000}} {
		_, errIn := f.NewDecoder()
		_, errOut := f.NewEncoder()
		for _, err := range []error{errIn, errOut} {
			if err == nil || !strings.HasPrefix(err.Error(), "codec: ") || !strings.Contains(err.Error(), ": use ") {
				t.Errorf("%+v: said %v", f, err)
			}
		}
	}
	var refused *transport.RefusedError
	if _, err := (Format{Codec: NameOpus}).NewEncoder(); !errors.As(err, &refused) || refused.Code != transport.RefusedCodec {
		t.Errorf("Opus without an encoder: said %v", err)
	}
}

func TestNegotiate(t *testing.T) {
	supported := []string{NameOpus, NamePCM}
	for _, row := range []struct {
		offered []string
		want    string
	}{
		{nil, NameOpus},
		{[]string{NamePCM, NameOpus}, NamePCM},
		{[]string{"flac", NameOpus}, NameOpus},
	} {
		if got, err := Negotiate(row.offered, supported); got != row.want || err != nil {
			t.Errorf("%v gives %q, %v", row.offered, got, err)
		}
	}
	_, err := Negotiate(append([]string{strings.Repeat("x", 1000)}, make([]string, 100)...), supported)
	var refused *transport.RefusedError
	if !errors.As(err, &refused) || refused.Code != transport.RefusedCodec || !slices.Equal(refused.Supported, supported) {
		t.Errorf("said %v", err)
	}
	if len(err.Error()) > 500 {
		t.Errorf("says %d bytes", len(err.Error()))
	}
	if _, err := Negotiate(nil, nil); !errors.As(err, &refused) {
		t.Errorf("of nothing nothing is picked; said %v", err)
	}
}

// FuzzDecoders: any bytes, in any blocks, to any decoder.
func FuzzDecoders(f *testing.F) {
	f.Add(uint8(0), []byte{0xFF, 0x7F, 0, 1})
	f.Add(uint8(2), []byte{1, 2, 3})
	f.Add(uint8(5), make([]byte, 3000))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		format := formats()[int(kind)%len(formats())]
		d, err := format.NewDecoder()
		if err != nil {
			t.Fatal(err)
		}
		whole, err := d.Decode(nil, data)
		if odd := format.Codec == NamePCM && len(data)%2 != 0; odd != (err != nil) {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		if err != nil {
			return
		}
		d.Reset()
		var parts []int16
		for block := range slices.Chunk(data, 2+2*int(kind)) {
			if parts, err = d.Decode(parts, block); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(parts, whole) {
			t.Fatal("the blocks make a difference")
		}
	})
}

// BenchmarkTranscode gives what a frame of 20 ms takes there and back, and the time that 95
// of 100 stay below: nodes-providers-transports section 7 allows 10 ms for one way.
func BenchmarkTranscode(b *testing.B) {
	for _, f := range formats() {
		b.Run(fmt.Sprintf("%s-%d", f.Codec, f.wireRate()), func(b *testing.B) {
			e, _ := f.NewEncoder()
			d, _ := f.NewDecoder()
			frame, wire, pcm := sine(320, 16000, 440, 0.5), make([]byte, 0, 4000), make([]int16, 0, 1000)
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				wire, _ = e.Encode(wire[:0], frame)
				pcm, _ = d.Decode(pcm[:0], wire)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100])/1e6, "p95-ms")
		})
	}
}
