// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"errors"
	"fmt"

	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

// codecs are those that a Server speaks, as its Capabilities name them.
func (s *Server) codecs(out bool) []string {
	list := []string{wire.PCM, wire.ULaw, wire.ALaw}
	if !out || s.config.Opus != nil {
		list = append(list, wire.Opus)
	}
	return list
}

// formats are those that a Server speaks, best first.
func (s *Server) formats(out bool) (list []string) {
	list = append(list, string(wire.DefaultFormat))
	for _, rate := range codec.Rates() {
		if f := fmt.Sprintf("%s/%d", wire.PCM, rate); f != list[0] {
			list = append(list, f)
		}
	}
	list = append(list, fmt.Sprintf("%s/%d", wire.ULaw, codec.G711Rate), fmt.Sprintf("%s/%d", wire.ALaw, codec.G711Rate))
	if !out || s.config.Opus != nil {
		list = append(list, fmt.Sprintf("%s/%d", wire.Opus, opusRate))
	}
	return list
}

// opusRate is that of positions of Opus, whatever was encoded.
const opusRate = 48000

// pick negotiates a format and gives it as package codec has it.
func pick(field string, offered []wire.Format, supported []string) (wire.Format, codec.Format, error) {
	if len(offered) == 0 {
		offered = []wire.Format{wire.DefaultFormat}
	}
	names := make([]string, len(offered))
	for i, f := range offered {
		names[i] = string(f)
	}
	name, err := codec.Negotiate(names, supported)
	if err != nil {
		var r *transport.RefusedError
		if errors.As(err, &r) {
			r.Reason = field + ": nothing offered is spoken here"
		}
		return "", codec.Format{}, err
	}
	format := wire.Format(name)
	kind, rate := format.Split()
	switch kind {
	case wire.ULaw:
		kind = codec.NamePCMU
	case wire.ALaw:
		kind = codec.NamePCMA
	}
	return format, codec.Format{Codec: kind, Rate: rate}, nil
}

// inward decodes what a client sends.
type inward struct {
	format  wire.Format
	rate    int64
	decoder codec.Decoder
	bytes   int // of a sample on the wire; 0 = of Opus
	pcm     []int16
	next    int64 // position of the next frame, at rate
	begun   bool
}

func newInward(offered []wire.Format, supported []string) (inward, error) {
	name, format, err := pick("audio.in", offered, supported)
	if err != nil {
		return inward{}, err
	}
	d, err := format.NewDecoder()
	if err != nil {
		return inward{}, err
	}
	in := inward{format: name, rate: int64(format.Rate), decoder: d, bytes: 1}
	switch format.Codec {
	case codec.NamePCM:
		in.bytes = 2
	case codec.NameOpus:
		in.bytes = 0
	}
	return in, nil
}

// longestFrame is how much audio one frame may carry, in seconds.
const longestFrame = 1

// decode gives the samples of a frame at 16000 Hz, and those that were skipped before it.
// The samples are valid until the next call.
func (i *inward) decode(a *wire.Audio) (pcm []int16, missing int64, f *wire.Fault) {
	if i.begun && a.Position < i.next {
		return nil, 0, &wire.Fault{
			Code: wire.FaultOrder, Field: "position", Message: fmt.Sprintf("%d: was heard already, up to %d: it is left out", a.Position, i.next),
		}
	}
	if i.bytes > 0 && int64(len(a.Payload)) > longestFrame*i.rate*int64(i.bytes) {
		return nil, 0, &wire.Fault{Code: wire.FaultField, Field: "payload", Message: fmt.Sprintf("%d bytes: send up to a second at a time", len(a.Payload))}
	}
	pcm, err := i.decoder.Decode(i.pcm[:0], a.Payload)
	if err != nil {
		return nil, 0, &wire.Fault{Code: wire.FaultField, Field: "payload", Message: err.Error()}
	}
	i.pcm = pcm
	if i.begun {
		missing = (a.Position - i.next) * transport.SampleRate / i.rate
	}
	length := int64(len(pcm)) * i.rate / transport.SampleRate
	if i.bytes > 0 {
		length = int64(len(a.Payload) / i.bytes)
	}
	i.next, i.begun = a.Position+length, true
	return pcm, missing, nil
}

// outward encodes what the agent says.
type outward struct {
	format  wire.Format
	rate    int64
	encoder codec.Encoder
	data    []byte
}

func newOutward(offered []wire.Format, supported []string, opus codec.OpusFactory) (outward, error) {
	name, format, err := pick("audio.out", offered, supported)
	if err != nil {
		return outward{}, err
	}
	format.Opus = opus
	e, err := format.NewEncoder()
	return outward{format: name, rate: int64(format.Rate), encoder: e}, err
}

// encode gives a frame as the client hears it; the bytes are valid until the next call.
func (o *outward) encode(pcm []int16) (data []byte, err error) {
	o.data, err = o.encoder.Encode(o.data[:0], pcm)
	return o.data, err
}

// position turns a position of the runtime into one of the client: never one beyond.
func (o *outward) position(at int64) int64 { return at * o.rate / transport.SampleRate }

// back turns a position of the client into one of the runtime, rounded up.
func (o *outward) back(at int64) int64 {
	return (at*transport.SampleRate + o.rate - 1) / o.rate
}
