// SPDX-License-Identifier: Apache-2.0

package segmenter

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// texts gives the segments' text, a bar between them.
func texts(list []Segment) string {
	parts := make([]string, len(list))
	for i, g := range list {
		parts[i] = g.Text
	}
	return strings.Join(parts, "|")
}

// whole cuts a text that comes in one piece, everything at time 0.
func whole(c Config, text string) []Segment {
	s := New(c)
	return append(s.Push(text, 0), s.Flush()...)
}

func unlimited() Config {
	c := Default()
	c.MaxPendingSegments = 0
	return c
}

func TestWhereTextIsCut(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"first at a comma, then sentences", "I am a scripted responder, |not a language model. It is three oh four, in the afternoon."},
		{"no comma before the minimum", "Well, yes, I think that it is so, |for the most part."},
		{"a short first sentence leaves at once", "Sure. |Here is a story for you, and a long one."},
		{"short later sentences join", "Sure, here we go. |One. Two. Three. Four. Five. |Six. Seven."},
		{"titles", "I met Mr. Smith and Dr. Jones at St. Mary on Monday. |They said hello to me."},
		{"initials", "It was J. R. R. Tolkien of the U.S. Army? |No, it was certainly not."},
		{"latin", "Some fruits, e.g. Apples and i.e. Pears, |are sweet. And that is really all."},
		{"etc inside and at the end", "Apples, pears, etc. and more of them, |plums etc. Then there was nothing left."},
		{"unknown abbreviation", "It takes approx. five or so misc. items to do. |And then some more of it."},
		{"time of day", "Come at five p.m. |Then we will eat something good."},
		{"numbers", "Pi is 3.14159 and 1,000,000.5 is a lot. |So is the number 2,718 if you ask me."},
		{"number at the end of a sentence", "The answer is 42. |The question was not so clear."},
		{"numbers in groups", "Call 555 1234 or 1 000 000 times if you like to. |Bye."},
		{"abbreviated numbers", "See fig. 3 and no. 5 in vol. 2 of the work. |The answer is obviously no. |That is all there is to it."},
		{"list", "Two things:\n1. First wash your hands\n|2. Then eat your good soup\n\n|Enjoy the meal and the evening!"},
		{"addresses", "Go to https://example.com/a.b?c=d,e;f!g and mail a.b@example.org now. |Thank you for that."},
		{"ellipsis", "I was... not so sure about it... |But then, after all, I was... |Really sure."},
		{"unicode ellipsis", "Hmm… let me think about that now… |Yes, that is how it must be."},
		{"quotes and brackets", `He said "Stop!" |(And so they really did stop.) |"Why?" she asked, and nobody knew.`},
		{"speech verb after a quote", `"Do you really mean it?" he asked her. |And she said that she did.`},
		{"markdown", "**Sure thing!** |_This is how it works, more or less._ |Fine."},
		{"interrobang", "What?! |You cannot be serious about this!!! |Can you?"},
		{"dashes", "The light – which was old by then – |went out. A well-known story - in a way - is this one."},
		{"semicolon and colon", "There is one thing to say here: |it works; it really does."},
		{"paragraphs", "A heading without an end\n\n|Then text that follows it."},
		{"chinese", "你好。|今天天气很好，我们去公园散步吧，好不好？他说：「当然可以！」|然后他们就走了，走了很远很远的路，一直走到天黑的时候。"},
		{"chinese first clause", "今天天气真的很好很好很好我们一起去公园散步吧大家说，|好不好？"},
		{"japanese", "はい。|灯台は北の海の端にある岩の上に立っていました、とても小さな灯台でした。"},
		{"hindi", "नमस्ते दुनिया। |यह एक लंबी कहानी है जो समुद्र के किनारे की है।"},
		{"arabic", "كيف حالك اليوم يا صديقي العزيز؟ |أنا بخير، شكرا لك على السؤال."},
		{"combining marks", "Cafe\u0301 au lait, bien su\u0302r, |monsieur, voila\u0300. "},
		{"emoji", "Great job 👩‍👩‍👧! |That is really wonderful 🎉🎉. |Bye 👋."},
		{"nothing to speak", "... --- ..."},
		{"leading space", "  \n Hello there. |Good to see you here again!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := texts(whole(unlimited(), strings.ReplaceAll(c.want, "|", ""))); got != c.want {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestTriggersAndOffsets(t *testing.T) {
	s := New(Default())
	var got []Segment
	for _, d := range []string{"I am a scripted", " responder,", " not a language", " model.", " It", " is noon."} {
		got = append(got, s.Push(d, 0)...)
	}
	got = append(got, s.Flush()...)
	want := []Segment{
		{0, "I am a scripted responder, ", 0, 27, TriggerClause},
		{1, "not a language model. It is noon.", 27, 60, TriggerSentence},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestSentenceLeavesWithItsSpace(t *testing.T) {
	s := New(Default())
	if got := s.Push("Hello there.", 0); got != nil {
		t.Fatalf("%q left before it was known to be a sentence", texts(got))
	}
	if got := texts(s.Push(" Good", 0)); got != "Hello there. " {
		t.Fatalf("%q", got)
	}
}

func TestAgeCutsTheFirstSegmentAtAWord(t *testing.T) {
	s := New(Default())
	s.Push("I thi", 100*ms)
	if _, ok := s.NextDeadline(); !ok {
		t.Fatal("no deadline, though a word is complete")
	}
	s.Push("nk th", 200*ms)
	at, ok := s.NextDeadline()
	if !ok || at != 350*ms {
		t.Fatalf("deadline %v %v, want 350ms", at, ok)
	}
	if got := s.Tick(at - 1); got != nil {
		t.Fatalf("%q left early", texts(got))
	}
	got := s.Tick(at)
	if texts(got) != "I think " || got[0].Trigger != TriggerAge {
		t.Fatalf("%+v", got)
	}
	if _, ok := s.NextDeadline(); ok {
		t.Error("a deadline for half a word")
	}
	if got := texts(s.Flush()); got != "th" {
		t.Errorf("%q", got)
	}
}

func TestAgePrefersAClause(t *testing.T) {
	s := New(Default())
	s.Push("Well, I think that the", 0)
	if got := texts(s.Tick(250 * ms)); got != "Well, " {
		t.Errorf("%q", got)
	}
}

func TestAgeOfLaterSegments(t *testing.T) {
	later := func(text string) *Segmenter {
		s := New(Default())
		if got := texts(s.Push("Sure. "+text, 0)); got != "Sure. " {
			t.Fatalf("%q", got)
		}
		return s
	}
	for _, c := range []struct {
		text, want string
		at         time.Duration
	}{
		{"Yes. And then", "Yes. ", 250 * ms},
		{"And then, when all of them were there, the bell", "And then, when all of them were there, ", 250 * ms},
		{"And then, when all", "And then, ", time.Second},
		{"And then when all", "And then when ", time.Second},
	} {
		s := later(c.text)
		at, ok := s.NextDeadline()
		if !ok || at != c.at {
			t.Errorf("%q: deadline %v %v, want %v", c.text, at, ok, c.at)
		}
		if got := texts(s.Tick(at - 1)); got != "" {
			t.Errorf("%q: %q left early", c.text, got)
		}
		if got := texts(s.Tick(at)); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// The age of what stays is that of its own oldest character.
func TestAgeRestartsWithTheText(t *testing.T) {
	s := New(Default())
	s.Push("Sure.", 0)
	s.Push(" Yes", 100*ms)
	s.Push(" and", 300*ms)
	s.Push(" so", 400*ms)
	if at, ok := s.NextDeadline(); !ok || at != 1100*ms {
		t.Errorf("deadline %v %v", at, ok)
	}
}

func TestAgeNeverSplitsNumbersOrTitles(t *testing.T) {
	for text, want := range map[string]string{
		"It costs 1 ":     "It costs ",
		"It costs 1 000 ": "It costs ",
		"I met Mr. ":      "I met ",
		"See fig. ":       "See ",
		"Pi is 3.":        "Pi is ",
		"It is 12:":       "It is ",
		"go to www.exam":  "go to ",
	} {
		s := New(Default())
		s.Push(text, 0)
		if got := texts(s.Tick(time.Hour)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestWithoutPunctuationTrigger(t *testing.T) {
	c := unlimited()
	c.TriggerOnPunctuation = false
	got := whole(c, "Yes. I think that it is so, and that it will be so for ever.")
	if texts(got) != "Yes. I think that it is so, |and that it will be so for |ever." || got[0].Trigger != TriggerChars {
		t.Errorf("%q %+v", texts(got), got[0])
	}
}

func TestLongTextIsCutAtItsBestPlace(t *testing.T) {
	c := unlimited()
	c.MinPartialChars, c.MaxSegmentChars = 10, 20
	for want, trigger := range map[string]Trigger{
		"one two three four |five six seven eight |nine ten":                                   TriggerLength,
		"Yes, one two, |three four five six seven eight|":                                      TriggerClause,
		"abcdefghijklmnopqrstuvwxyz |abcdefghijklmnopqrstuvwxyz":                               TriggerLength,
		strings.Repeat("x", 80) + "|" + strings.Repeat("x", 80) + "|" + strings.Repeat("x", 5): TriggerLength,
		strings.Repeat("é", 80) + "|" + strings.Repeat("é", 10):                                TriggerLength,
		strings.Repeat("x", 79) + "|e\u0301" + strings.Repeat("x", 20):                         TriggerLength,
	} {
		want = strings.TrimSuffix(want, "|")
		text := strings.ReplaceAll(want, "|", "")
		got := whole(c, text)
		if got[0].Trigger != trigger {
			t.Errorf("%q: first trigger %s, want %s", text, got[0].Trigger, trigger)
		}
		if strings.HasPrefix(want, "Yes") {
			continue
		}
		if texts(got) != want {
			t.Errorf("\n got %q\nwant %q", texts(got), want)
		}
	}
}

func TestHoldsWhatHasNoRoomAndJoinsIt(t *testing.T) {
	c := Default()
	c.MaxPendingSegments = 2
	s := New(c)
	sentence := func(i int) string { return "This is the sentence number " + string(rune('a'+i)) + ". " }
	var got []Segment
	for i := range 6 {
		got = append(got, s.Push(sentence(i), 0)...)
	}
	if texts(got) != sentence(0)+"|"+sentence(1) || !s.Held() {
		t.Fatalf("%q, held %v", texts(got), s.Held())
	}
	if _, ok := s.NextDeadline(); ok {
		t.Error("time alone cannot help, but there is a deadline")
	}
	if got := s.Tick(time.Hour); got != nil {
		t.Errorf("%q left without room", texts(got))
	}
	if got := texts(s.Done(0)); got != sentence(2)+sentence(3)+sentence(4)+sentence(5) || s.Held() {
		t.Errorf("%q, held %v", got, s.Held())
	}
	s.Push(sentence(6), 0)
	if got := texts(s.Flush()); got != sentence(6) {
		t.Errorf("flush gave %q", got)
	}
}

func TestSpeakable(t *testing.T) {
	for text, want := range map[string]bool{" \n": false, "...": false, "👋": false, "a": true, "3": true, "你": true} {
		if (Segment{Text: text}).Speakable() != want {
			t.Errorf("%q", text)
		}
	}
}

func TestNothingIn(t *testing.T) {
	s := New(Default())
	if s.Push("", 0) != nil || s.Tick(time.Hour) != nil || s.Flush() != nil {
		t.Error("segments of nothing")
	}
	if _, ok := s.NextDeadline(); ok {
		t.Error("deadline of nothing")
	}
}

func TestConfigReportsAllFaults(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	err := Config{MaxPendingSegments: -1, MaxSentenceAge: -1, MaxSegmentChars: -1}.Validate()
	for _, field := range []string{"min_partial_chars: 0", "max_partial_age: 0s", "max_pending_segments: -1", "max_sentence_age: -1ns", "max_segment_chars: -1"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v lacks %q", err, field)
		}
	}
}
