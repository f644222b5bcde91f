// SPDX-License-Identifier: Apache-2.0

package shape

import (
	"strings"
	"testing"
)

// A suggestion is made when it is likely to be what was meant, and only then: a wrong
// guess costs more than none.
func TestNearest(t *testing.T) {
	strategies := []string{"block", "drop", "merge", "sample", "latest_only"}
	fields := []string{"max_queue_items", "max_queue_ms", "max_queue_bytes", "max_block_time_ms"}
	for _, c := range []struct {
		name  string
		among []string
		want  string
	}{
		{"merge", strategies, "merge"},
		{"Merge", strategies, "merge"},
		{"latestOnly", strategies, "latest_only"},
		{"latest-only", strategies, "latest_only"},
		{"lastest_only", strategies, "latest_only"},
		{"blok", strategies, "block"},
		{"mrege", strategies, "merge"},
		{"drops", strategies, "drop"},
		{"sampel", strategies, "sample"},
		{"spill", strategies, ""},
		{"x", strategies, ""},
		{"", strategies, ""},
		{"max_queue_item", fields, "max_queue_items"},
		{"max-queue-ms", fields, "max_queue_ms"},
		{"max_queue_s", fields, "max_queue_ms"},
		{"ab", []string{"aa", "bb"}, ""},
		{"abcdef", []string{"abcdex", "abcdey"}, ""},
		{strings.Repeat("merge", 100), strategies, ""},
		{"é", []string{"è"}, ""},
	} {
		if got := Nearest(c.name, c.among); got != c.want {
			t.Errorf("Nearest(%q) = %q, want %q", c.name, got, c.want)
		}
	}
}
