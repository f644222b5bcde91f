// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/provider"
)

func noon() time.Time { return time.Date(2026, 5, 4, 15, 4, 0, 0, time.UTC) }

func responder(t *testing.T, plan ...string) *Responder {
	t.Helper()
	r, err := New(Config{Now: noon, Plan: plan})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func user(s string) provider.Message  { return provider.Message{Role: provider.RoleUser, Text: s} }
func agent(s string) provider.Message { return provider.Message{Role: provider.RoleAssistant, Text: s} }

func cut(s string) provider.Message {
	return provider.Message{Role: provider.RoleAssistant, Text: s, Interrupted: true}
}

func call() provider.Call {
	return provider.Call{
		SessionID: "s1", TurnID: "t1", PipelineVersion: "p1", EventID: "e1", InvocationID: "i1", ProviderID: ID,
		Modality: provider.ModalityLLM, Attempt: 1, AuthorityEpoch: 1, IdempotencyKey: "k1", Timeout: time.Second,
	}
}

// told is a conversation in which the disclosure has been heard.
func told(more ...provider.Message) []provider.Message {
	return append([]provider.Message{user("hello"), agent(disclosure + " Hello.")}, more...)
}

func TestMatchesCommandsThroughBadRecognition(t *testing.T) {
	r := responder(t)
	for heard, want := range map[string]string{
		"what time is it":               skillTime,
		"What's the time, please?":      skillTime,
		"what time as it":               skillTime,
		"could you tell be the time":    skillTime,
		"time":                          skillTime,
		"can you count to ten":          skillCount,
		"can you counts two ten":        skillCount,
		"count down from twenty":        skillCount,
		"tell me a long story":          skillStory,
		"tell me along storey":          skillStory,
		"hell me a story about the see": skillStory,
		"please could you tell me a long story about the sea while i wait here for my train": skillStory,
		"repeat after me the cat sat":   skillRepeat,
		"what did i say":                skillRepeat,
		"what did you say":              skillRecall,
		"who are you":                   skillIdentity,
		"what are you":                  skillIdentity,
		"who or you":                    skillIdentity,
		"are you a robot or a human":    skillIdentity,
		"go on":                         skillContinue,
		"please contineu":               skillContinue,
		"continue the story please":     skillContinue,
		"stop":                          skillStop,
		"wait wait":                     skillStop,
		"what can you do":               skillHelp,
		"hello there":                   skillGreeting,
		"how are you":                   skillGreeting,
		"hello what time is it":         skillTime,
		"thank you very much":           skillThanks,
		"good by":                       skillGoodbye,
		"okay goodbye":                  skillGoodbye,
		"go forward ten meters":         "",
		"go somewhere and do something": "",
		"and so my fellow americans ask not what your country can do for you ask what you can do for your country": "",
		"for the first time in his life he felt the weight of the years upon him":                                  "",
		"the court was crowded when the judge came in":                                                             "",
		// read speech, with the errors a recogniser makes of it
		"and mister john dashwood had then leisure to consider how much there might be prudently in his power to do for them":  "",
		"he was not an ill disposed young man unless to be rather cold hearted and rather selfish is to be ill disposed":       "",
		"but he was in general well respected for he conducted himself with propriety in the discharge of his ordinary duties": "",
		"had he married a more amiable woman he might have been made still more respectable than he was":                       "",
		"for he was very young when he married and very fond of his wife":                                                      "",
	} {
		got := ""
		if line := r.match(words(heard)); line != nil {
			got = line.skill
		}
		if got != want {
			t.Errorf("%q: skill %q, want %q", heard, got, want)
		}
	}
}

func TestReplies(t *testing.T) {
	r := responder(t)
	for _, c := range []struct {
		name     string
		messages []provider.Message
		want     string
	}{
		{"opening", []provider.Message{{Role: provider.RoleSystem, Text: "be brief"}}, disclosure + " Hello. You can ask me for the time, a count or a story."},
		{"first reply discloses", []provider.Message{user("what time is it")}, disclosure + " It is three oh four in the afternoon."},
		{"later replies do not", told(user("what time is it")), "It is three oh four in the afternoon."},
		{"an unheard disclosure is said again", []provider.Message{user("hello"), cut("I am a"), user("what time is it")}, disclosure + " It is three oh four in the afternoon."},
		{"on request at any time", told(user("who are you")), disclosure + " I work from a short table of rules: I can tell the time, repeat, count, and tell a story."},
		{"count to ten", told(user("count please")), "One, two, three, four, five. Six, seven, eight, nine, ten."},
		{"count to a number", told(user("count to twenty two four me")), "One, two, three, four, five. Six, seven, eight, nine, ten. Eleven, twelve, thirteen, fourteen, fifteen. Sixteen, seventeen, eighteen, nineteen, twenty. Twenty one, twenty two."},
		{"count down", told(user("count down from 3")), "Three, two, one."},
		{"repeat", told(user("please repeat after me: The cat sat.")), "The cat sat."},
		{"what did I say", told(user("the sea is calm"), agent("Yes."), user("what did i say")), "Before that I heard: the sea is calm."},
		{"what did you say", told(user("x"), cut("I heard"), user("what did you say")), "I said: I heard."},
		{"nothing heard", told(user("  ")), "Sorry, I heard nothing that I could make out. Please say it again."},
		{"no new words", told(), "I am listening."},
		{"anything else", told(user("go forward  ten meters")), "I heard: go forward ten meters. I have no answer to that. Ask me for the time, a count or a story."},
		{"utterance cut in two", told(user("can you please count"), user("up to three")), "One, two, three."},
		{"stop", told(user("tell me a story"), cut("Long ago, on a rock at"), user("stop")), "You stopped me after the words: a rock at. Say go on when you want the rest."},
		{"barge-in without a command", told(user("tell me a story"), cut("Long ago, on a rock"), user("go forward ten meters")), "You stopped me after the words: on a rock. I heard: go forward ten meters. I have no answer to that. Ask me for the time, a count or a story."},
	} {
		if got := r.reply(c.messages).text; got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestGoesOnFromWhatWasHeard(t *testing.T) {
	r := responder(t)
	story := storyText()
	first := disclosure + " " + story
	at := strings.Index(story, "there stood")
	for _, c := range []struct {
		name     string
		messages []provider.Message
		want     string
	}{
		{"cut at a word", told(user("tell me a story"), cut(story[:at-1]), user("go on")), resumeLead + story[at:]},
		{"cut inside a word", told(user("tell me a story"), cut(story[:at+3]), user("go on")), resumeLead + story[at:]},
		{"with the disclosure before it", []provider.Message{user("tell me a story"), cut(first[:len(disclosure)+1+at]), user("go on")}, resumeLead + story[at:]},
		{"after stop", told(user("a story"), cut(story[:at]), user("stop"), agent("All right."), user("go on")), resumeLead + story[at:]},
		{"the beginning was trimmed from the prompt", append(told(), cut("sea, there stood a small"), user("go on")), resumeLead + "lighthouse." + strings.SplitAfterN(story, "lighthouse.", 2)[1]},
		{"count", told(user("count to ten"), cut("One, two, three, four, five. Six,"), user("continue")), resumeLead + "seven, eight, nine, ten."},
		{"all heard", told(user("count to three"), cut("One, two, three"), user("go on")), "You heard all of it. There is nothing left to say."},
		{"nothing to go on with", told(user("go on")), "There is nothing to go on with yet. Ask me for a story."},
		{"unknown text", told(user("hm"), cut("quite another engine said this"), user("go on")), "I lost the place where you stopped me, so here is a story from its start. " + story},
		{"the continuation was heard whole", told(user("a story"), cut(story[:at]), user("go on"), agent(resumeLead+story[at:]), user("go on")), "That was the end of it. Ask me for a story if you would like one."},
	} {
		if got := r.reply(c.messages).text; got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

// Interrupting again and again must walk through the story without a gap or a repeat.
func TestGoesOnThroughManyInterruptions(t *testing.T) {
	r := responder(t)
	messages := told(user("tell me a long story"))
	var heard []string
	for range 60 {
		full := strings.TrimPrefix(r.reply(messages).text, resumeLead)
		fields := strings.Fields(full)
		n := min(11, len(fields))
		heard = append(heard, fields[:n]...)
		if n == len(fields) {
			break
		}
		said := strings.Join(fields[:n], " ")
		if len(messages) > len(told())+1 {
			said = resumeLead + said
		}
		messages = append(messages, cut(said), user("go on"))
	}
	if got := strings.Join(heard, " "); got != storyText() {
		t.Fatalf("heard in pieces:\n%q\nwant\n%q", got, storyText())
	}
}

func TestPlanShowsEachSkillOnce(t *testing.T) {
	r := responder(t, skillRepeat, skillCount, skillStory, skillTime)
	var messages []provider.Message
	for i, want := range []string{
		disclosure + " I did not find a command in that, so I will say back what I heard. I heard: utterance zero.",
		"I did not find a command in that, so I will count for you. One, two, three, four, five. Six, seven, eight, nine, ten.",
		"I did not find a command in that, so here is a story while you listen. Interrupt me any time. " + storyText(),
		"You stopped me after the words: Interrupt me any. I did not find a command in that, so here is the time. It is three oh four in the afternoon.",
		"I heard: utterance four. I have no answer to that. Ask me for the time, a count or a story.",
	} {
		messages = append(messages, user("utterance "+number(i)))
		got := r.reply(messages).text
		if got != want {
			t.Fatalf("turn %d:\n got %q\nwant %q", i, got, want)
		}
		m := agent(got)
		if i == 2 {
			m = cut("I did not find a command in that, so here is a story while you listen. Interrupt me any")
		}
		messages = append(messages, m)
	}
}

// A turn that was cut before anything was heard offers its step of the plan again, and a
// command does not use one up.
func TestPlanCountsOnlyWhatWasHeard(t *testing.T) {
	r := responder(t, skillCount, skillStory)
	messages := told(user("what time is it"), agent("It is three oh four."), user("unheard words"), user("more words"))
	if got := r.reply(messages).text; !strings.Contains(got, "so I will count for you") {
		t.Fatalf("got %q", got)
	}
}

func TestConfigReportsAllFaults(t *testing.T) {
	_, err := New(Config{Pace: -1, Plan: []string{"story", "dance"}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"now: is nil", "pace: -1ns", `plan[1]: "dance" is no skill`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
}

func TestEverySkillHasARule(t *testing.T) {
	r := responder(t)
	for _, s := range Skills() {
		if r.named(s) == nil {
			t.Errorf("skill %q has no rule", s)
		}
	}
	if len(r.rules) != len(Skills()) {
		t.Errorf("%d rules for %d skills", len(r.rules), len(Skills()))
	}
}

func TestStoryIsLongEnoughToInterrupt(t *testing.T) {
	if n := len(strings.Fields(storyText())); n < 150 || n > 220 {
		t.Errorf("%d words", n)
	}
}

func TestStreamsWordByWord(t *testing.T) {
	r := responder(t)
	var deltas []string
	checker := provider.NewStreamChecker(provider.ModalityLLM)
	o := r.Generate(t.Context(), call(), provider.Prompt{Messages: told(user("count to three"))}, func(c provider.Chunk) {
		if err := checker.Check(c); err != nil {
			t.Error(err)
		}
		if c.Kind == provider.ChunkTextDelta {
			deltas = append(deltas, c.Text)
		}
	})
	if err := checker.Finish(); err != nil || o.Class != provider.OutcomeSuccess {
		t.Fatal(err, o)
	}
	if got := strings.Join(deltas, "|"); got != "One, |two, |three." {
		t.Errorf("deltas %q", got)
	}
}

func TestHonoursMaxTokens(t *testing.T) {
	var text string
	responder(t).Generate(t.Context(), call(), provider.Prompt{Messages: told(user("a story")), MaxTokens: 3}, func(c provider.Chunk) { text += c.Text })
	if text != "Long ago, on " {
		t.Errorf("%q", text)
	}
}

func TestCancelStopsBetweenWords(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last provider.Chunk
	o := responder(t).Generate(ctx, call(), provider.Prompt{Messages: told(user("a story"))}, func(c provider.Chunk) {
		last = c
		if c.Kind == provider.ChunkTextDelta {
			if n++; n == 4 {
				cancel()
			}
		}
	})
	if n != 4 || o.Class != provider.OutcomeCancelled || last.Kind != provider.ChunkError || last.Outcome != o {
		t.Errorf("%d words, outcome %+v, last %+v", n, o, last)
	}
}

func TestClock(t *testing.T) {
	for hm, want := range map[[2]int]string{
		{0, 0}: "midnight", {12, 0}: "noon", {0, 5}: "twelve oh five at night", {9, 30}: "nine thirty in the morning",
		{12, 45}: "twelve forty five in the afternoon", {18, 0}: "six o'clock in the evening", {23, 59}: "eleven fifty nine at night",
	} {
		if got := clock(time.Date(2026, 1, 1, hm[0], hm[1], 0, 0, time.UTC)); got != want {
			t.Errorf("%v: %q, want %q", hm, got, want)
		}
	}
}

func TestLargestNumber(t *testing.T) {
	for said, want := range map[string]int{
		"count to ten": 10, "two ten four me": 10, "twenty five": 25, "twenty. fifty five": 55, "37": 37,
		"one hundred": 100, "three hundred": 300, "nothing": 0, "99999999999999999999": 0,
	} {
		if got := largestNumber(words(said)); got != want {
			t.Errorf("%q: %d, want %d", said, got, want)
		}
	}
}

// Whatever was said, there is an answer, and it can be made twice.
func FuzzReply(f *testing.F) {
	f.Add("tell me a story", "Long ago, on a", "go on", true)
	f.Add("what time is it", "It is", "pardon", false)
	f.Add("count to 999999999", "", "contniue", true)
	f.Add("\xff'’", "\xffI heard", "repeat", true)
	r, err := New(Config{Now: noon, Plan: []string{skillStory, skillContinue, skillRecall}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b, c string, interrupted bool) {
		messages := []provider.Message{user(a), {Role: provider.RoleAssistant, Text: b, Interrupted: interrupted}, user(c)}
		got := r.reply(messages)
		if got.text == "" || got != r.reply(messages) {
			t.Fatalf("%q %q %q: %+v", a, b, c, got)
		}
	})
}

// A client may ask for an answer before anybody has spoken: with or without words of the
// application it is greeted.
func TestGreetsWhoSaysNothing(t *testing.T) {
	r := responder(t)
	for name, messages := range map[string][]provider.Message{
		"nothing":          nil,
		"instructions":     {{Role: provider.RoleSystem, Text: "Be brief."}},
		"and more of them": {{Role: provider.RoleSystem, Text: "Be brief."}, {Role: provider.RoleSystem, Text: "The caller is in a hurry."}},
	} {
		if a := r.reply(messages); a.skill != skillGreeting || !strings.HasPrefix(a.text, disclosure) {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
