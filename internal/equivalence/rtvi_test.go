// SPDX-License-Identifier: Apache-2.0

package equivalence

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	ws "github.com/coder/websocket"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/rtvi"
)

// pipecat is a client of RTVI that speaks protobuf frames.
type pipecat struct {
	*microphone
	socket socket
	heard  atomic.Int64 // nanoseconds
}

// bytesField is a field of a protobuf message that has a length, numberField one that is a
// number.
func bytesField(dst []byte, n protowire.Number, body []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), body)
}

func numberField(dst []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), v)
}

func overRTVI(t *testing.T, r *parley.Runtime, seen *record) caller {
	t.Helper()
	s, err := rtvi.New(rtvi.Config{}, door(t, r, seen))
	p := &pipecat{socket: dial(t, serve(t, s, err)+"/v1/rtvi/ws?token="+token, http.Header{})}
	p.socket.each(t, p.take)
	if err := p.say(object{"type": "client-ready", "id": "1", "data": object{"version": "2.1.0", "about": object{"library": "tests"}}}); err != nil {
		t.Fatal(err)
	}
	p.microphone = listen(t, func(pcm []int16) error {
		body := bytesField(bytesField(nil, 2, []byte("audio")), 3, little(pcm))
		body = numberField(numberField(body, 4, transport.SampleRate), 5, 1)
		return p.write(bytesField(nil, 2, body))
	})
	return p
}

func (p *pipecat) write(frame []byte) error {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	return p.socket.Write(ctx, ws.MessageBinary, frame)
}

func (p *pipecat) say(message object) error {
	message["label"] = "rtvi-ai"
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return p.write(bytesField(nil, 4, bytesField(nil, 1, data)))
}

// take counts what is heard.
func (p *pipecat) take(data []byte) {
	n, _, size := protowire.ConsumeTag(data)
	if n != 2 || size < 0 {
		return // a message
	}
	body, _ := protowire.ConsumeBytes(data[size:])
	rate, sound := 0, []byte(nil)
	for len(body) > 0 {
		n, kind, size := protowire.ConsumeTag(body)
		if size < 0 {
			return
		}
		body = body[size:]
		if size = protowire.ConsumeFieldValue(n, kind, body); size < 0 {
			return
		}
		switch n {
		case 3:
			sound, _ = protowire.ConsumeBytes(body)
		case 4:
			v, _ := protowire.ConsumeVarint(body)
			rate = int(v) //nolint:gosec // in Hz
		}
		body = body[size:]
	}
	if rate == 0 {
		return
	}
	n16 := make([]int16, len(sound)/2)
	for i := range n16 {
		n16[i] = int16(uint16(sound[2*i]) | uint16(sound[2*i+1])<<8) //nolint:gosec // two bytes of it
	}
	p.heard.Add(int64(lengthOf(int64(voiced(n16)), rate)))
}

func (p *pipecat) Heard() time.Duration { return time.Duration(p.heard.Load()) }

func (p *pipecat) Leave() error {
	p.off()
	return p.socket.Close(ws.StatusNormalClosure, "")
}
