// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"encoding/json"
	"strings"
	"testing"
)

// Whatever a client sends, there is an event or a fault that names what is wrong, and what
// was accepted can be told again.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"type":"response.cancel","event_id":"e","response_id":"r"}`,
		`{"type":"conversation.item.truncate","item_id":"i","content_index":0,"audio_end_ms":1.5e3}`,
		`{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":null}}}}`,
		`{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}}`,
		`{"type":"input_audio_buffer.append","audio":"AAAA"}`,
		`{"type":7,"event_id":{}}`, `null`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, fault := decode(data)
		if fault != nil {
			if fault.Code == "" || fault.Message == "" || len(e.EventID) > maxEventID || len(fault.Message) > 1024 {
				t.Errorf("fault %+v of event %q", fault, e.EventID)
			}
			return
		}
		switch e.Type {
		case evSessionUpdate:
			fuzzUpdate(t, e.Session)
		case evItemCreate:
			if it, f := readItem(e.Item); f == nil {
				if it.id == "" || len(it.text) > maxText {
					t.Errorf("item %+v", it)
				}
				mustMarshal(t, it.describe())
			}
		case evCreate:
			a := &request{}
			_, _ = a.read(e.Response)
		case evAppend:
			h, err := newHearing(pcm24)
			if err != nil {
				t.Fatal(err)
			}
			_, _, _ = h.decode(*e.Audio)
		}
	})
}

func fuzzUpdate(t *testing.T, raw json.RawMessage) {
	t.Helper()
	for _, raw := range []json.RawMessage{raw, fromBeta(raw)} {
		was := newSettings("sess", "model")
		before := mustMarshal(t, was.describe())
		next, f := was.update(raw)
		if got := mustMarshal(t, was.describe()); got != before {
			t.Errorf("an update has changed what there was: %s", got)
		}
		if f != nil {
			if f.Param == "" || !strings.HasPrefix(f.Param, "session") {
				t.Errorf("fault names %q", f.Param)
			}
			continue
		}
		mustMarshal(t, next.describe())
		mustMarshal(t, toBeta(next.describe()))
		mustMarshal(t, next.wishes(nil, nil))
	}
}

func mustMarshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Errorf("%+v: %v", v, err)
	}
	return string(b)
}
