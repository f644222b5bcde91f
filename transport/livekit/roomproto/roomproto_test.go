// SPDX-License-Identifier: Apache-2.0

package roomproto

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
)

// generated are messages as the generated code of github.com/livekit/protocol v1.54.0 writes them.
var generated = []struct {
	name, bytes string
	message     any
}{
	{"add_track", "22110a016312016e400268017a01738a010101", &Request{AddTrack: &AddTrack{
		CID: "c", Name: "n", Source: SourceMicrophone, DisableRED: true, Stream: "s", Features: []int32{FeatureNoDTX},
	}}},
	{"subscription", "32160a0454525f3110011a0c0a0450415f31120454525f31", &Request{Subscription: &Subscription{
		TrackSIDs: []string{"TR_1"}, Subscribe: true, Tracks: []*ParticipantTracks{{ParticipantSID: "PA_1", TrackSIDs: []string{"TR_1"}}},
	}}},
	{"leave", "420410011802", &Request{Leave: &Leave{Reason: ClientInitiated, Action: Restart}}},
	{"sync_state", "623d0a0d0a06616e737765721201611803120210011a0b0a016312060a0454525f32220f0a095f72656c6961626c65100218012a0a0a056f6666657212016f", &Request{SyncState: &SyncState{
		Answer: &Description{Type: "answer", SDP: "a", ID: 3}, Subscription: &Subscription{Subscribe: true},
		Published: []*TrackPublished{{CID: "c", Track: &Track{SID: "TR_2"}}}, Channels: []*DataChannel{{Label: ReliableChannel, ID: 2, Target: Subscriber}},
		Offer: &Description{Type: "offer", SDP: "o"},
	}}},
	{"metadata", "7a271a060a01621201631a1b0a0e6c6b2e6167656e742e737461746512096c697374656e696e672007", &Request{Metadata: &MetadataUpdate{
		Attributes: map[string]string{AttributeState: "listening", "b": "c"}, RequestID: 7,
	}}},
	{"ping", "82010908cb89ec8ff7231005", &Request{PingReq: &Ping{Timestamp: 1234567890123, RTT: 5}}},
	{"trickle", "1a080a027b7d10011801", &Request{Trickle: &Trickle{Candidate: "{}", Target: Subscriber, Final: true}}},
	{"join", "0aa3010a0d0a04524d5f3112056c6f626279120f0a0450415f3112056167656e7470041a450a0450415f321203616461180222230a0454525f311001200148025a09617564696f2f7265648001018a010663616d6572612a016d4a034164617a060a016b12017680010a2a160a067475726e3a780a067374756e3a791201751a017030013a0b7773733a2f2f6f7468657242022802500f5805620b1203312e39181122026575", &Response{Join: &Join{
		Room: &Room{SID: "RM_1", Name: "lobby"}, Participant: &Participant{SID: "PA_1", Identity: "agent", Kind: KindAgent},
		Others: []*Participant{{
			SID: "PA_2", Identity: "ada", State: Active, Name: "Ada", Metadata: "m", Attributes: map[string]string{"k": "v"}, Reason: RoomClosed,
			Tracks: []*Track{{SID: "TR_1", Type: 1, Muted: true, Source: SourceMicrophone, MimeType: "audio/red", Encryption: 1, Stream: "camera"}},
		}},
		ICEServers: []*ICEServer{{URLs: []string{"turn:x", "stun:y"}, Username: "u", Credential: "p"}}, SubscriberPrimary: true,
		AlternativeURL: "wss://other", Client: &ClientConfig{ForceRelay: RelayEnabled}, PingTimeout: 15, PingInterval: 5,
		Server: &ServerInfo{Version: "1.9", Protocol: 17, Region: "eu"},
	}}},
	{"update", "2a070a031201781001", &Response{Update: &ParticipantUpdate{Full: true, Participants: []*Participant{{Identity: "x"}}}}},
	{"reconnect", "9a010a0a080a067374756e3a79", &Response{Reconnect: &Reconnect{ICEServers: []*ICEServer{{URLs: []string{"stun:y"}}}}}},
	{"refresh", "82010174", &Response{RefreshToken: "t"}},
	{"reply", "b20108080710021a026e6f", &Response{Reply: &RequestReply{RequestID: 7, Reason: 2, Message: "no"}}},
	{"chunk", "720a0a017310031a01782001", &Packet{Chunk: &Chunk{StreamID: "s", Index: 3, Content: []byte("x"), Version: 1}}},
	{"trailer", "7a260a01731201721a1e0a166c6b2e7472616e736372697074696f6e5f66696e616c120474727565", &Packet{Trailer: &Trailer{StreamID: "s", Reason: "r", Attributes: map[string]string{AttributeFinal: "true"}}}},
	{"transcription", "3a1912036164611a0454525f31220c0a016912017428013202656e", &Packet{Transcription: &Transcription{
		Identity: "ada", TrackSID: "TR_1", Segments: []*Segment{{ID: "i", Text: "t", Final: true, Language: "en"}},
	}}},
	{"chat", "4a0e0a01691005180622016d28013001", &Packet{Chat: &Chat{ID: "i", Timestamp: 5, Edited: 6, Message: "m", Deleted: true, Generated: true}}},
	{"user", "120f12017022076c6b2e63686174420169", &Packet{User: &User{Payload: []byte("p"), Topic: TopicChat, ID: "i"}}},
	{"dtmf", "3205180b220123", &Packet{DTMF: &DTMF{Code: 11, Digit: "#"}}},
	{"rpc_error", "620b0a01691a0608f80a12016d", &Packet{RPCReply: &RPCReply{ID: "i", Error: &RPCError{Code: UnsupportedMethod, Message: "m"}}}},
	{"rpc", "520d0a016912016d1a017020052801", &Packet{RPC: &RPC{ID: "i", Method: "m", Payload: "p", Timeout: 5, Version: 1}}},
	{"header", "22036164612a01648001096a350a017310011a076c6b2e63686174220a746578742f706c61696e280542060a016b1201765a0568656c6c6f60014a06080110022801", &Packet{Identity: "ada", Sequence: 9, Destinations: []string{"d"}, Header: &Header{
		StreamID: "s", Timestamp: 1, Topic: TopicChat, MimeType: "text/plain", TotalLength: 5, Attributes: map[string]string{"k": "v"},
		Text: &TextHeader{Operation: 1, Version: 2, Generated: true}, Inline: []byte("hello"), Compression: 1,
	}}},
}

// What LiveKit's code writes is read as what it says, and what is written here is read by
// LiveKit's code: the bytes are the same, or, where LiveKit's code writes the fields of a
// packet in another order, as many.
func TestGenerated(t *testing.T) {
	for _, g := range generated {
		want, err := hex.DecodeString(g.bytes)
		if err != nil {
			t.Fatal(err)
		}
		got := Marshal(nil, g.message)
		if !bytes.Equal(got, want) && (g.name != "header" || len(got) != len(want)) {
			t.Errorf("%s is written as\n%x; want\n%x", g.name, got, want)
		}
		read := reflect.New(reflect.TypeOf(g.message).Elem()).Interface()
		if err := Unmarshal(want, read); err != nil || !reflect.DeepEqual(read, g.message) {
			t.Errorf("%s is read as %+v, %v", g.name, read, err)
		}
	}
}

// Every message type has tags that can be used, whether a test writes it or not.
func TestLayouts(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(m reflect.Type) {
		for m.Kind() == reflect.Pointer || m.Kind() == reflect.Slice {
			m = m.Elem()
		}
		if m.Kind() != reflect.Struct || seen[m] {
			return
		}
		seen[m] = true
		fields := layout(m)
		for i, f := range fields {
			if i > 0 && f.number == fields[i-1].number {
				t.Errorf("%v has two fields of number %d", m, f.number)
			}
			walk(m.Field(f.index).Type)
		}
	}
	for _, m := range []any{Request{}, Response{}, Packet{}} {
		walk(reflect.TypeOf(m))
	}
}

// What is wrong is an error, and what is unknown is passed over.
func TestWrong(t *testing.T) {
	for text, fine := range map[string]bool{
		"":           true,
		"fa0300":     true,  // a field that there is not
		"1801":       true,  // one that is of another type
		"08":         false, // cut off
		"0a05":       false,
		"0aff":       false,
		"2202fffe":   false, // no UTF-8 in the identity of a packet
		"00":         false, // no number
		"6a034a0112": false,
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := Unmarshal(b, new(Packet)); (err == nil) != fine {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// FuzzUnmarshal: whatever the bytes are, the answer is a message or an error, and what was
// read is written so that it is read again as the same.
func FuzzUnmarshal(f *testing.F) {
	for i, g := range generated {
		b, _ := hex.DecodeString(g.bytes)
		f.Add(b, uint8(i%3))
	}
	f.Fuzz(func(t *testing.T, data []byte, kind uint8) {
		fresh := func() any {
			return [...]any{new(Request), new(Response), new(Packet)}[kind%3]
		}
		m := fresh()
		if Unmarshal(data, m) != nil {
			return
		}
		again := fresh()
		b := Marshal(nil, m)
		if err := Unmarshal(b, again); err != nil {
			t.Fatalf("%x was written, and cannot be read: %v", b, err)
		}
		if c := Marshal(nil, again); !bytes.Equal(b, c) {
			t.Fatalf("%x was read and written as %x", b, c)
		}
	})
}
