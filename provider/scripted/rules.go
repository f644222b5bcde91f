// SPDX-License-Identifier: Apache-2.0

package scripted

import "slices"

// The skills, as Config.Plan names them.
const (
	skillIdentity = "identity"
	skillTime     = "time"
	skillCount    = "count"
	skillStory    = "story"
	skillRepeat   = "repeat"
	skillRecall   = "recall"
	skillContinue = "continue"
	skillStop     = "stop"
	skillHelp     = "help"
	skillGreeting = "greeting"
	skillThanks   = "thanks"
	skillGoodbye  = "goodbye"
)

// Skills lists the names that Config.Plan may hold.
func Skills() []string {
	return []string{
		skillIdentity, skillTime, skillCount, skillStory, skillRepeat, skillRecall,
		skillContinue, skillStop, skillHelp, skillGreeting, skillThanks, skillGoodbye,
	}
}

// rule is one line of the table: what speaks for a skill, and what the skill answers.
type rule struct {
	skill string
	most  int // longest utterance in words that the rule looks at, 0 = any
	cues  []cue
	runs  [][]string // the cues' words
	reply func(*Responder, turn) string
}

// compiled is the table with its cues cut into words.
func compiled() []rule {
	table := rules()
	for i := range table {
		for _, c := range table[i].cues {
			table[i].runs = append(table[i].runs, words(c.words))
		}
	}
	return table
}

// rules is the table. The highest score wins, the earlier rule when two are equal.
func rules() []rule {
	return []rule{
		{skill: skillContinue, most: 10, reply: (*Responder).goOn, cues: slices.Concat(
			cues(4, "continue", "carry on", "keep going", "what happened next", "what happens next"),
			cues(3, "go on", "resume"),
			cues(2, "going on", "keep on", "and then", "finish", "rest of"),
			cues(1, "please", "the story"),
		)},
		{skill: skillStop, most: 6, reply: (*Responder).stop, cues: slices.Concat(
			cues(4, "shut up"),
			cues(3, "stop", "wait", "quiet", "silence", "enough", "hold on", "pause", "hang on"),
			cues(1, "be quiet", "stop it"),
		)},
		{skill: skillIdentity, reply: (*Responder).identity, cues: slices.Concat(
			cues(5, "who are you", "introduce yourself"),
			cues(4, "what are you", "language model"),
			cues(3, "who or you", "your name"),
			cues(2, "are you", "robot", "human", "a person", "artificial", "scripted"),
			cues(1, "who", "what", "machine", "computer"),
		)},
		{skill: skillTime, reply: (*Responder).timeOfDay, cues: slices.Concat(
			cues(3, "time is it"),
			cues(2, "what time", "times it", "time", "clock", "oclock"),
			cues(1, "the time", "what", "whats", "tell", "hour", "is it", "do you have the", "right now", "please"),
		)},
		{skill: skillCount, reply: (*Responder).count, cues: slices.Concat(
			cues(4, "countdown"),
			cues(3, "count", "counting"),
			cues(2, "counts", "to ten", "numbers", "from one", "count down"),
			cues(1, "count to", "backwards", "can you", "please"),
		)},
		{skill: skillStory, reply: (*Responder).story, cues: slices.Concat(
			cues(3, "story", "stories", "tale"),
			cues(2, "read me", "bedtime", "lighthouse"),
			cues(1, "tell", "tell me", "tell us", "long", "another", "please"),
		)},
		{skill: skillRecall, reply: (*Responder).recall, cues: slices.Concat(
			cues(5, "what did you say", "say that again", "say it again", "repeat that"),
			cues(3, "what you said", "come again", "pardon", "did not hear you", "didnt hear you", "you just say"),
		)},
		{skill: skillRepeat, reply: (*Responder).repeat, cues: slices.Concat(
			cues(5, "what did i say"),
			cues(3, "repeat", "repeat after me", "after me", "did i say", "what i said", "can you hear", "do you hear"),
			cues(2, "hear me", "echo"),
		)},
		{skill: skillHelp, most: 12, reply: (*Responder).help, cues: slices.Concat(
			cues(6, "what can you do"),
			cues(5, "what can i say", "what can i ask"),
			cues(4, "how does this work"),
			cues(3, "help", "can you do", "commands"),
			cues(2, "options"),
		)},
		{skill: skillGoodbye, most: 8, reply: (*Responder).goodbye, cues: slices.Concat(
			cues(3, "goodbye", "good bye", "bye", "good by", "good buy", "see you", "good night", "farewell", "thats all", "hang up"),
			cues(1, "bye bye", "later"),
		)},
		{skill: skillThanks, most: 8, reply: (*Responder).thanks, cues: slices.Concat(
			cues(3, "thank you", "thanks", "well done"),
			cues(2, "thank"),
			cues(1, "very much"),
		)},
		{skill: skillGreeting, most: 8, reply: (*Responder).greeting, cues: slices.Concat(
			cues(4, "how are you", "how do you do"),
			cues(3, "hello", "hi", "good morning", "good afternoon", "good evening", "greetings"),
			cues(2, "hey", "hey there"),
			cues(1, "hello there"),
		)},
	}
}

// cues gives each of the words or runs of words the same weight.
func cues(weight int, runs ...string) []cue {
	list := make([]cue, len(runs))
	for i, run := range runs {
		list[i] = cue{run, weight}
	}
	return list
}

// match names the rule for an utterance, nil for none.
func (r *Responder) match(heard []string) *rule {
	var best *rule
	top := needed(len(heard)) - 1
	for i := range r.rules {
		line := &r.rules[i]
		if line.most > 0 && len(heard) > line.most {
			continue
		}
		if s := line.score(heard); s > top {
			best, top = line, s
		}
	}
	return best
}

// named gives the rule of a skill; Validate has made sure that there is one.
func (r *Responder) named(skill string) *rule {
	for i := range r.rules {
		if r.rules[i].skill == skill {
			return &r.rules[i]
		}
	}
	return nil
}
