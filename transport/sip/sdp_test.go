// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/sdp/v3"

	"github.com/parley-voice/parley/transport"
)

// described makes an offer; lines come behind its head.
func described(lines ...string) []byte {
	head := []string{"v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"}
	return []byte(strings.Join(append(head, lines...), "\r\n") + "\r\n")
}

// usual is what a telephone offers.
func usual(lines ...string) []byte {
	return described(append([]string{
		"m=audio 4000 RTP/AVP 18 8 0 101", "a=rtpmap:18 G729/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000",
		"a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20",
	}, lines...)...)
}

func TestOffer(t *testing.T) {
	both := []Codec{PCMU, PCMA}
	for _, c := range []struct {
		name   string
		body   []byte
		codecs []Codec
		want   agreed
	}{
		{"usual", usual(), both, agreed{PCMU, 0, 101, netip.MustParseAddrPort("192.0.2.1:4000"), sendrecv}},
		{"the order is ours", usual(), []Codec{PCMA, PCMU}, agreed{PCMA, 8, 101, netip.MustParseAddrPort("192.0.2.1:4000"), sendrecv}},
		{"without maps", described("m=audio 4000 RTP/AVP 8"), both, agreed{PCMA, 8, 0, netip.MustParseAddrPort("192.0.2.1:4000"), sendrecv}},
		{"other numbers", described("m=audio 4000 RTP/AVP 97 98", "a=rtpmap:97 pcmu/8000/1", "a=rtpmap:98 TELEPHONE-EVENT/8000"), both, agreed{PCMU, 97, 98, netip.MustParseAddrPort("192.0.2.1:4000"), sendrecv}},
		{"its own address", usual("c=IN IP4 198.51.100.7/127"), both, agreed{PCMU, 0, 101, netip.MustParseAddrPort("198.51.100.7:4000"), sendrecv}},
		{"six", usual("c=IN IP6 2001:db8::1"), both, agreed{PCMU, 0, 101, netip.MustParseAddrPort("[2001:db8::1]:4000"), sendrecv}},
		{"hold", usual("a=sendonly"), both, agreed{PCMU, 0, 101, netip.MustParseAddrPort("192.0.2.1:4000"), sendonly}},
		{"hold of old", usual("c=IN IP4 0.0.0.0"), both, agreed{PCMU, 0, 101, netip.MustParseAddrPort("0.0.0.0:4000"), sendrecv}},
		{"hold of all", append(described("a=inactive"), usual()[len(described()):]...), both, agreed{PCMU, 0, 101, netip.MustParseAddrPort("192.0.2.1:4000"), inactive}},
		{"second stream", described("m=video 5000 RTP/AVP 96", "m=audio 4000 RTP/AVP 0"), both, agreed{PCMU, 0, 0, netip.MustParseAddrPort("192.0.2.1:4000"), sendrecv}},
	} {
		o, err := readOffer(c.body, c.codecs)
		if err != nil || o.agreed != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, o, err, c.want)
		}
		if err == nil && o.held() != strings.HasPrefix(c.name, "hold") {
			t.Errorf("%s: held %v", c.name, o.held())
		}
	}
}

func TestOfferRefused(t *testing.T) {
	for name, c := range map[string]struct {
		body []byte
		code transport.RefusalCode
	}{
		"no SDP":    {[]byte("hello"), transport.RefusedInvalid},
		"codecs":    {described("m=audio 4000 RTP/AVP 18", "a=rtpmap:18 G729/8000"), transport.RefusedCodec},
		"wide":      {described("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 PCMU/16000"), transport.RefusedCodec},
		"encrypted": {described("m=audio 4000 RTP/SAVP 0"), transport.RefusedInvalid},
		"no port":   {described("m=audio 0 RTP/AVP 0"), transport.RefusedInvalid},
		"video":     {described("m=video 4000 RTP/AVP 96"), transport.RefusedInvalid},
		"a name":    {usual("c=IN IP4 example.com"), transport.RefusedInvalid},
		"many":      {usual("c=IN IP4 224.2.1.1/127"), transport.RefusedInvalid},
		"long":      {usual("a=" + strings.Repeat("x", mostSDP)), transport.RefusedInvalid},
	} {
		_, err := readOffer(c.body, []Codec{PCMU, PCMA})
		var refused *transport.RefusedError
		if !errors.As(err, &refused) || refused.Code != c.code {
			t.Errorf("%s: %v; want %s", name, err, c.code)
		}
	}
	if _, err := readOffer(nil, []Codec{PCMU}); !errors.Is(err, errOffer) {
		t.Errorf("nothing: %v", err)
	}
}

// TestAnswer: as many media lines as the offer, what is not taken with port 0, and the
// direction turned around (RFC 3264, section 6).
func TestAnswer(t *testing.T) {
	o, err := readOffer(described("m=video 5000 RTP/AVP 96", "m=audio 4000 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000", "a=sendonly", "m=audio 4002 RTP/AVP 0"), []Codec{PCMU, PCMA})
	if err != nil {
		t.Fatal(err)
	}
	body, err := o.answer(netip.MustParseAddrPort("203.0.113.5:20000"), 7, 2)
	if err != nil {
		t.Fatal(err)
	}
	var d sdp.SessionDescription
	if err := d.Unmarshal(body); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	if n := len(d.MediaDescriptions); n != 3 || d.MediaDescriptions[0].MediaName.Port.Value != 0 || d.MediaDescriptions[2].MediaName.Port.Value != 0 {
		t.Errorf("%d media lines\n%s", n, body)
	}
	for _, line := range []string{
		"o=- 7 2 IN IP4 203.0.113.5", "c=IN IP4 203.0.113.5", "t=0 0", "m=audio 20000 RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000",
		"a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20", "a=recvonly",
	} {
		if !strings.Contains(string(body), line+"\r\n") {
			t.Errorf("%q is missing in\n%s", line, body)
		}
	}
}

func FuzzOffer(f *testing.F) {
	f.Add(usual())
	f.Add(usual("a=inactive", "c=IN IP6 ::1"))
	f.Add(described("m=audio 99999999 RTP/AVP 0 x 300"))
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := readOffer(body, []Codec{PCMA, PCMU})
		if err != nil {
			return
		}
		if o.codec == "" || o.sound > 127 || o.event > 127 || !o.remote.IsValid() {
			t.Errorf("%+v", o.agreed)
		}
		answer, err := o.answer(netip.MustParseAddrPort("192.0.2.9:20000"), 1, 1)
		if err != nil {
			t.Errorf("no answer: %v", err)
		}
		var d sdp.SessionDescription
		if err := d.Unmarshal(answer); err != nil || len(d.MediaDescriptions) != len(o.description.MediaDescriptions) {
			t.Errorf("%v\n%s", err, answer)
		}
	})
}
