// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/observability/waits"
)

// pressed is the sample conversation with pressure on it.
func pressed(t *testing.T) Data {
	t.Helper()
	d := sample(t)
	setting := func(field, value, layer string) waits.Setting {
		return waits.Setting{Field: field, Value: value, Layer: layer}
	}
	d.Waits = &waits.Account{
		Edges: []waits.Edge{
			{
				ID: "stt-llm", From: "stt", To: "llm", MaxItems: 64, MaxMS: 200,
				Counts: waits.Counts{Offered: waits.Lanes{Data: 57}, Delivered: waits.Lanes{Data: 57}, Dropped: map[string]int64{}, PeakItems: waits.Lanes{Data: 1}},
				Policy: []waits.Setting{setting("strategy", "latest_only", controlplane.ProvenanceProfile)},
				Steps:  []waits.Step{{AtMS: 900, Items: 1}, {AtMS: 920}},
			},
			{
				ID: "llm-tts", From: "segmenter", To: "tts", MaxItems: 8, MaxMS: 60_000,
				Counts: waits.Counts{
					Offered: waits.Lanes{Data: 27}, Delivered: waits.Lanes{Data: 18}, Dropped: map[string]int64{"fenced": 7, "max_items": 2}, Drops: 9,
					Highs: 3, Lows: 2, XOffs: 3, XOns: 2, Granted: 31, Blocked: 4, PeakItems: waits.Lanes{Data: 8}, LongestWaitMS: 2345.5,
				},
				Policy: []waits.Setting{setting("strategy", "block", controlplane.ProvenanceProfile), setting("max_block_time_ms", "20", "session")},
				Steps:  []waits.Step{{AtMS: 2600, Items: 2}, {AtMS: 18_700, Items: 8, MS: 1200}, {AtMS: 26_000, Items: 3, MS: 2345}, {AtMS: 28_100}},
			},
			{
				ID: "captions", From: "caller_text", To: "reader", Side: true, Lost: true, MaxItems: 64, MaxMS: 200,
				Counts: waits.Counts{Offered: waits.Lanes{Data: 5}, Dropped: map[string]int64{"shed": 5}, Drops: 5, PeakItems: waits.Lanes{Data: 2}},
				Steps:  []waits.Step{{AtMS: 900, Items: 2, MS: 300}, {AtMS: 4000}},
			},
		},
		Marks: []waits.Mark{
			{AtMS: 900, What: waits.HighMark, Edge: "captions", Items: 2, MS: 300},
			{AtMS: 4000, What: waits.CutOff, Edge: "captions"},
			{AtMS: 18_700, What: waits.HighMark, Edge: "llm-tts", Items: 8, MS: 1200, Action: "block"},
			{AtMS: 18_700, What: waits.XOff, Edge: "llm-tts"},
			{AtMS: 18_701, What: waits.Drop, Edge: "llm-tts", Reason: "max_items", Count: 2},
			{AtMS: 26_000, What: waits.XOn, Edge: "llm-tts"},
			{AtMS: 30_000, What: waits.Overload, Name: "telemetry", Reason: "processor"},
			{AtMS: 36_000, What: waits.Overload, Name: "none"},
			{AtMS: 38_000, What: waits.BudgetExhausted, Reason: "turn_budget", MS: 2000, Limit: 2000, Action: "continue"},
		},
		Unmarked:  7,
		Admission: waits.Admission{Outcome: "admit", Reason: "authorized", Later: map[string]int64{"admit": 5, "defer": 1}, Refused: map[string]int64{"tenant_quota:turns_per_minute": 1}},
		Load:      waits.Load{Changes: 2, Highest: "telemetry", Last: "none"},
		Budgets:   waits.Budgets{Exhaustions: map[string]int64{"turn_budget": 1}, Degrades: map[string]int64{"text_only": 1}, Fallbacks: 2},
	}
	return d
}

// The page has a table with the figures of each edge and what each obeys, and hands the
// drawing what it needs: steps of the edges at which something happened, and every mark in
// words.
func TestTimelineShowsWhatWaited(t *testing.T) {
	page := render(t, pressed(t))
	if *keep != "" {
		if err := os.WriteFile(filepath.Join(*keep, "pressed.html"), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		`id="waited-title"`, "On 2 of 3 edges something was dropped", "7 marks are too many",
		`<th scope="row">llm-tts<span class="from-to">segmenter → tts</span></th><td class="n">27</td><td class="n">18</td><td class="n bad-text">9</td><td>fenced 7, max_items 2</td><td class="n">–</td><td class="n">8 of 8</td><td class="n">–</td><td class="n">2.35 s</td><td class="n">3 / 2</td><td class="n">3 / 2</td><td class="n">31</td><td class="n">4</td><td class="n">–</td>`,
		`captions <span class="mark abort">cut off</span>`,
		`<th scope="row">max_block_time_ms</th><td>–</td><td>20 <span class="layer set">session</span></td><td>–</td>`,
		`<td>latest_only <span class="layer">profile</span></td>`,
		"admit 5, defer 1", "tenant_quota:turns_per_minute 1", "up to telemetry, none at the end, 2 changes", "turn_budget 1", "text_only 1",
		"<dt>fallbacks</dt><dd class=\"bad-text\">2</dd>", "producer stopped",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	payload := page[strings.Index(page, `id="data">`)+len(`id="data">`):]
	var data struct {
		Waits struct {
			Edges []struct {
				ID       string       `json:"edge_id"`
				Eventful bool         `json:"eventful"`
				Steps    []waits.Step `json:"steps"`
				Policy   []any        `json:"policy"`
			} `json:"edges"`
			Marks []struct {
				AtMS float64 `json:"at_ms"`
				What string  `json:"what"`
				Text string  `json:"text"`
			} `json:"marks"`
		} `json:"waits"`
	}
	if err := json.Unmarshal([]byte(payload[:strings.Index(payload, "</script")]), &data); err != nil {
		t.Fatal(err)
	}
	e := data.Waits.Edges
	if len(e) != 3 || e[0].Eventful || e[0].Steps != nil || !e[1].Eventful || len(e[1].Steps) != 4 || e[1].Steps[1].Items != 8 || !e[2].Eventful {
		t.Errorf("edges to draw: %+v", e)
	}
	for _, edge := range e {
		if edge.Policy != nil {
			t.Errorf("%s: the policy is in the page twice", edge.ID)
		}
	}
	if m := data.Waits.Marks; len(m) != 9 || m[4].Text != "llm-tts dropped 2 items: max_items" || m[4].What != "drop" {
		t.Errorf("marks to draw: %+v", m)
	}
}

// The drawing knows every kind of mark, so that none is drawn as something else.
func TestEveryMarkIsDrawn(t *testing.T) {
	script, err := joinScripts()
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)const MARKS = \{(.*?)\n\};`).FindSubmatch(script)
	order := regexp.MustCompile(`const GRAVE = \[(.*?)\]`).FindSubmatch(script)
	if table == nil || order == nil {
		t.Fatal("the script has no table of marks")
	}
	for _, what := range []waits.What{
		waits.HighMark, waits.LowMark, waits.Drop, waits.Merge, waits.XOff, waits.XOn, waits.Credit, waits.Discontinuity, waits.CutOff,
		waits.Shed, waits.Degrade, waits.Fallback, waits.BudgetWarning, waits.BudgetExhausted, waits.Overload, waits.Refusal,
	} {
		if !strings.Contains(string(table[1]), string(what)+": [") || !strings.Contains(string(order[1]), "'"+string(what)+"'") {
			t.Errorf("%s is not drawn", what)
		}
		m := waits.Mark{What: what, Edge: "e", Reason: "r", Name: "n", Count: 3, Items: 1, MS: 2, Limit: 3}
		if text := m.Text(); text == "" || text == string(what) {
			t.Errorf("%s has no words: %q", what, text)
		}
	}
}

// Without an account, or with one in which nothing happened, the page says no more than
// that.
func TestTimelineWithoutPressure(t *testing.T) {
	if page := render(t, sample(t)); strings.Contains(page, `id="waited-title"`) || strings.Contains(page, "producer stopped") {
		t.Error("a page without an account tells of one")
	}
	d := pressed(t)
	d.Waits.Edges = d.Waits.Edges[:1]
	d.Waits.Marks = nil
	page := render(t, d)
	if !strings.Contains(page, "On none of the edges") || strings.Contains(page, "producer stopped") {
		t.Error("a quiet page is not told as one")
	}
}

// Names of edges come from files of the user.
func TestWhatWaitedIsEscaped(t *testing.T) {
	evil := "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
	d := pressed(t)
	for i := range d.Waits.Edges {
		e := &d.Waits.Edges[i]
		e.ID, e.From, e.To = evil, evil, evil
		e.Counts.Dropped = map[string]int64{evil: 1}
		e.Policy = []waits.Setting{{Field: evil, Value: evil, Layer: evil}}
	}
	for i := range d.Waits.Marks {
		d.Waits.Marks[i].Reason, d.Waits.Marks[i].Edge, d.Waits.Marks[i].Name = evil, evil, evil
	}
	d.Waits.Admission.Refused = map[string]int64{evil: 1}
	page := render(t, d)
	if strings.Count(page, "<script") != 2 || strings.Count(page, "</script") != 2 || strings.Contains(page, "<img") {
		t.Error("a text of the user reached the page as it came")
	}
}

// summary.json has what each edge counted, by lane and by reason.
func TestSummaryOfWhatWaited(t *testing.T) {
	d := pressed(t)
	raw, err := json.Marshal(SummaryOf(d))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"edge_id":"llm-tts","from":"segmenter","to":"tts","cut_off":false,"max_queue_items":8,"max_queue_ms":60000,"max_queue_bytes":0,"offered":{"control":0,"data":27,"telemetry":0},"delivered":{"control":0,"data":18,"telemetry":0},"dropped":{"fenced":7,"max_items":2},"dropped_total":9`,
		`"highest_depth_items":{"control":0,"data":8,"telemetry":0}`, `"longest_wait_ms":2345.5`, `"high_crossings":3,"low_crossings":2,"flow_xoff":3,"flow_xon":2`,
		`"admission":{"outcome":"admit","reason":"authorized","later":{"admit":5,"defer":1},"refused":{"tenant_quota:turns_per_minute":1}}`,
		`"load":{"changes":2,"highest":"telemetry","last":"none"}`, `"exhaustions":{"turn_budget":1}`,
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the summary does not have %s\n%s", want, raw)
		}
	}
	if strings.Contains(string(raw), `"steps"`) {
		t.Error("the summary has the steps of the drawing")
	}
	if s := SummaryOf(sample(t)); s.Edges == nil || s.Admission != nil {
		t.Errorf("without an account: %+v", s.Edges)
	}
}
