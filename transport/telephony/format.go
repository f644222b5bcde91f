// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

// Encoding is how samples are written in bytes.
type Encoding string

// The encodings. The two of G.711 have one byte for a sample, at 8000 Hz.
const (
	Mulaw      Encoding = codec.NamePCMU
	Alaw       Encoding = codec.NamePCMA
	Linear16   Encoding = codec.NamePCM
	Linear16BE Encoding = "pcm_s16be"
)

// Format is an encoding at a rate in Hz.
type Format struct {
	Encoding Encoding
	Rate     int
}

func (f Format) String() string { return fmt.Sprintf("%s/%d", f.Encoding, f.Rate) }

// rates are those that telephone gateways have.
func rates() []int { return []int{8000, 16000, 24000} }

// supported lists what check accepts.
func supported() []string {
	list := []string{Format{Mulaw, 8000}.String(), Format{Alaw, 8000}.String()}
	for _, rate := range rates() {
		list = append(list, Format{Linear16, rate}.String(), Format{Linear16BE, rate}.String())
	}
	return list
}

// check says what is wrong with a format.
func (f Format) check() error {
	if !slices.Contains(supported(), f.String()) {
		return fmt.Errorf("use one of %s", strings.Join(supported(), ", "))
	}
	return nil
}

// size is how many bytes a number of its samples has.
func (f Format) size(samples int) int {
	if f.Encoding == Mulaw || f.Encoding == Alaw {
		return samples
	}
	return 2 * samples
}

// format reads what a start message says of its media.
func (d *dialect) formatOf(encoding string, rate int64) (Format, error) {
	f := d.format
	if encoding != "" {
		name, _, _ := strings.Cut(strings.ToLower(encoding), ";")
		name = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(name), "audio/"), "x-")
		switch name {
		case "mulaw", "ulaw", "pcmu":
			f = Format{Mulaw, 8000}
		case "alaw", "pcma":
			f = Format{Alaw, 8000}
		case "l16", "linear16", "raw", "raw/slin", "slin", "pcm", "base64":
			f.Encoding = d.linear
		default:
			f.Encoding = Encoding(name)
		}
	}
	if rate != 0 {
		f.Rate = int(min(rate, 1<<30))
	}
	if f.check() != nil {
		return Format{}, &transport.RefusedError{
			Code: transport.RefusedCodec, Reason: fmt.Sprintf("media_format: %s at %d Hz", encoding, rate), Supported: supported(),
		}
	}
	return f, nil
}
