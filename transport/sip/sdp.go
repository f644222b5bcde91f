// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"github.com/parley-voice/parley/transport"
)

const (
	mostSDP     = 16 << 10
	mostStreams = 16 // media lines of an offer
)

// direction is which way sound goes, as one side sees it.
type direction uint8

const (
	sendrecv direction = iota
	sendonly
	recvonly
	inactive
)

func (d direction) String() string {
	return [...]string{"sendrecv", "sendonly", "recvonly", "inactive"}[d]
}

// answer is the direction of the other side.
func (d direction) answer() direction {
	switch d {
	case sendonly:
		return recvonly
	case recvonly:
		return sendonly
	case sendrecv, inactive:
	}
	return d
}

// agreed is what an offer and this gateway agree on.
type agreed struct {
	codec  Codec
	sound  uint8 // payload type of the codec
	event  uint8 // payload type of telephone-event, 0 = none
	remote netip.AddrPort
	way    direction // as the caller sees it
}

// held says that the caller does not listen, or has put the call on hold.
func (a *agreed) held() bool {
	return a.way == sendonly || a.way == inactive || a.remote.Addr().IsUnspecified()
}

// offer is one of SDP, RFC 3264.
type offer struct {
	description sdp.SessionDescription
	audio       int // the media line that is taken
	agreed
}

var errOffer = errors.New("sip: sdp: an offer is needed in the INVITE: send one")

// refuse says that a field of the offer cannot be taken.
func refuse(field, value, remedy string) error {
	return &transport.RefusedError{Code: transport.RefusedInvalid, Reason: fmt.Sprintf("sdp: %s: %.64q: %s", field, value, remedy)}
}

// readOffer reads an offer and agrees on a codec, the first of ours that it has.
func readOffer(body []byte, codecs []Codec) (*offer, error) {
	if len(body) == 0 {
		return nil, errOffer
	}
	if len(body) > mostSDP {
		return nil, refuse("length", strconv.Itoa(len(body)), fmt.Sprintf("send %d bytes at most", mostSDP))
	}
	o := &offer{audio: -1}
	if err := o.description.Unmarshal(body); err != nil {
		return nil, refuse("body", err.Error(), "send SDP of RFC 8866")
	}
	if n := len(o.description.MediaDescriptions); n > mostStreams {
		return nil, refuse("m", strconv.Itoa(n), fmt.Sprintf("send %d media lines at most", mostStreams))
	}
	for i, m := range o.description.MediaDescriptions {
		name := m.MediaName
		if name.Media == "audio" && name.Port.Value > 0 && slices.Equal(name.Protos, []string{"RTP", "AVP"}) {
			o.audio = i
			break
		}
	}
	if o.audio < 0 {
		return nil, refuse("m", "", "offer one audio stream of RTP/AVP with a port")
	}
	if err := o.address(); err != nil {
		return nil, err
	}
	return o, o.choose(codecs)
}

func (o *offer) media() *sdp.MediaDescription { return o.description.MediaDescriptions[o.audio] }

// address reads where sound is to be sent to.
func (o *offer) address() error {
	m := o.media()
	c := m.ConnectionInformation
	if c == nil {
		c = o.description.ConnectionInformation
	}
	if c == nil || c.Address == nil {
		return refuse("c", "", "name the address that listens")
	}
	text, _, _ := strings.Cut(c.Address.Address, "/")
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.IsMulticast() || ip.Zone() != "" {
		return refuse("c", c.Address.Address, "send an IP address of one host; names are not looked up")
	}
	port := m.MediaName.Port.Value
	if port > 65535 {
		return refuse("m", strconv.Itoa(port), "send a port up to 65535")
	}
	o.remote = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	for _, way := range []direction{sendonly, recvonly, inactive, sendrecv} {
		_, inMedia := m.Attribute(way.String())
		_, inSession := o.description.Attribute(way.String())
		if inMedia || (inSession && o.way == sendrecv) {
			o.way = way
		}
		if inMedia {
			break
		}
	}
	return nil
}

// choose agrees on payload types.
func (o *offer) choose(codecs []Codec) error {
	m := o.media()
	names := map[uint8]string{0: "PCMU/8000", 8: "PCMA/8000"}
	var offered []string
	for _, a := range m.Attributes {
		if a.Key != "rtpmap" {
			continue
		}
		number, name, _ := strings.Cut(a.Value, " ")
		if n, err := strconv.ParseUint(number, 10, 7); err == nil {
			names[uint8(n)] = strings.TrimSuffix(strings.TrimSpace(name), "/1")
		}
	}
	best := len(codecs)
	for _, format := range m.MediaName.Formats {
		n, err := strconv.ParseUint(format, 10, 7)
		if err != nil {
			continue
		}
		name, rate, _ := strings.Cut(names[uint8(n)], "/")
		if rate != "8000" {
			continue
		}
		offered = append(offered, name)
		if i := slices.IndexFunc(codecs, func(c Codec) bool { return strings.EqualFold(string(c), name) }); i >= 0 && i < best {
			best, o.codec, o.sound = i, codecs[i], uint8(n)
		}
		if strings.EqualFold(name, "telephone-event") && o.event == 0 && n > 0 {
			o.event = uint8(n)
		}
	}
	if best == len(codecs) {
		refused := &transport.RefusedError{Code: transport.RefusedCodec, Reason: fmt.Sprintf("sdp: offered %.128q", strings.Join(offered, ", "))}
		for _, c := range codecs {
			refused.Supported = append(refused.Supported, string(c))
		}
		return refused
	}
	return nil
}

// answer makes the answer to an offer: our address, and the one stream that is taken.
func (o *offer) answer(local netip.AddrPort, id, version uint64) ([]byte, error) {
	kind := "IP4"
	if local.Addr().Is6() {
		kind = "IP6"
	}
	at := &sdp.ConnectionInformation{NetworkType: "IN", AddressType: kind, Address: &sdp.Address{Address: local.Addr().String()}}
	d := sdp.SessionDescription{
		Origin:                sdp.Origin{Username: "-", SessionID: id, SessionVersion: version, NetworkType: "IN", AddressType: kind, UnicastAddress: local.Addr().String()},
		SessionName:           "parley",
		ConnectionInformation: at,
		TimeDescriptions:      o.description.TimeDescriptions,
	}
	for i, m := range o.description.MediaDescriptions {
		if i != o.audio {
			name := m.MediaName
			name.Port = sdp.RangedPort{}
			d.MediaDescriptions = append(d.MediaDescriptions, &sdp.MediaDescription{MediaName: name})
			continue
		}
		taken := &sdp.MediaDescription{MediaName: sdp.MediaName{
			Media: "audio", Port: sdp.RangedPort{Value: int(local.Port())}, Protos: []string{"RTP", "AVP"},
			Formats: []string{strconv.Itoa(int(o.sound))},
		}}
		taken.WithValueAttribute("rtpmap", fmt.Sprintf("%d %s/8000", o.sound, o.codec))
		if o.event > 0 {
			taken.MediaName.Formats = append(taken.MediaName.Formats, strconv.Itoa(int(o.event)))
			taken.WithValueAttribute("rtpmap", fmt.Sprintf("%d telephone-event/8000", o.event))
			taken.WithValueAttribute("fmtp", fmt.Sprintf("%d 0-15", o.event))
		}
		taken.WithValueAttribute("ptime", "20").WithPropertyAttribute(o.way.answer().String())
		d.MediaDescriptions = append(d.MediaDescriptions, taken)
	}
	return d.Marshal()
}
