// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// What a turn's model has used stands in the response that it was used for, and is null where
// no engine has said.
func TestUsage(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	for _, used := range [][]transport.Usage{{{Turn: "t1", InputTokens: 20, OutputTokens: 7}, {Turn: "t1", InputTokens: 30, CachedTokens: 16, OutputTokens: 5}}, nil} {
		turn := map[bool]string{true: "t2", false: "t1"}[used == nil]
		speak(s, eventabi.TurnID(turn), 1, "Hello.", 320)
		if at(c.await("response.created"), "response", "usage") != nil {
			t.Error("a response begins with usage")
		}
		for _, u := range used {
			s.Usage(u)
		}
		s.Emit(eventabi.SignalClose, eventabi.TurnID(turn), "")
		s.Emit(eventabi.SignalPlaybackCompleted, eventabi.TurnID(turn), "")
		done := c.await("response.done")
		if used == nil {
			if got := at(done, "response", "usage"); got != nil {
				t.Errorf("usage is %v; want null", got)
			}
			continue
		}
		for path, want := range map[string]float64{"total_tokens": 62, "input_tokens": 50, "output_tokens": 12} {
			if got := at(done, "response", "usage", path); got != want {
				t.Errorf("%s is %v; want %v", path, got, want)
			}
		}
		if got := at(done, "response", "usage", "input_token_details", "cached_tokens"); got != 16.0 {
			t.Errorf("of the cache are %v", got)
		}
		if got := at(done, "response", "usage", "output_token_details", "text_tokens"); got != 12.0 {
			t.Errorf("of the text are %v", got)
		}
	}
}
