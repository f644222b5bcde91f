// SPDX-License-Identifier: Apache-2.0

package scripted

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
		{skill: skillContinue, most: 10, reply: (*Responder).goOn, cues: []cue{
			{"go on", 3}, {"going on", 2}, {"continue", 4}, {"carry on", 4}, {"keep going", 4}, {"keep on", 2},
			{"resume", 3}, {"what happened next", 4}, {"what happens next", 4}, {"and then", 2},
			{"finish", 2}, {"rest of", 2}, {"please", 1}, {"the story", 1},
		}},
		{skill: skillStop, most: 6, reply: (*Responder).stop, cues: []cue{
			{"stop", 3}, {"wait", 3}, {"quiet", 3}, {"silence", 3}, {"enough", 3}, {"hold on", 3}, {"shut up", 4},
			{"pause", 3}, {"be quiet", 1}, {"stop it", 1}, {"hang on", 3},
		}},
		{skill: skillIdentity, reply: (*Responder).identity, cues: []cue{
			{"who are you", 5}, {"what are you", 4}, {"who or you", 3}, {"are you", 2}, {"your name", 3}, {"who", 1}, {"what", 1},
			{"robot", 2}, {"human", 2}, {"machine", 1}, {"computer", 1}, {"language model", 4}, {"a person", 2}, {"artificial", 2},
			{"introduce yourself", 5}, {"scripted", 2},
		}},
		{skill: skillTime, reply: (*Responder).timeOfDay, cues: []cue{
			{"what time", 2}, {"time is it", 3}, {"times it", 2}, {"time", 2}, {"the time", 1}, {"clock", 2}, {"what", 1}, {"whats", 1},
			{"tell", 1}, {"hour", 1}, {"is it", 1}, {"oclock", 2}, {"do you have the", 1}, {"right now", 1}, {"please", 1},
		}},
		{skill: skillCount, reply: (*Responder).count, cues: []cue{
			{"count", 3}, {"counting", 3}, {"counts", 2}, {"count to", 1}, {"to ten", 2}, {"numbers", 2}, {"from one", 2},
			{"count down", 2}, {"countdown", 4}, {"backwards", 1}, {"can you", 1}, {"please", 1},
		}},
		{skill: skillStory, reply: (*Responder).story, cues: []cue{
			{"story", 3}, {"stories", 3}, {"tale", 3}, {"tell", 1}, {"tell me", 1}, {"tell us", 1}, {"long", 1}, {"read me", 2},
			{"bedtime", 2}, {"lighthouse", 2}, {"another", 1}, {"please", 1},
		}},
		{skill: skillRecall, reply: (*Responder).recall, cues: []cue{
			{"what did you say", 5}, {"what you said", 3}, {"say that again", 5}, {"say it again", 5}, {"repeat that", 5},
			{"come again", 3}, {"pardon", 3}, {"did not hear you", 3}, {"didnt hear you", 3}, {"you just say", 3},
		}},
		{skill: skillRepeat, reply: (*Responder).repeat, cues: []cue{
			{"repeat", 3}, {"repeat after me", 3}, {"after me", 3}, {"what did i say", 5}, {"did i say", 3}, {"what i said", 3},
			{"can you hear", 3}, {"do you hear", 3}, {"hear me", 2}, {"echo", 2},
		}},
		{skill: skillHelp, most: 12, reply: (*Responder).help, cues: []cue{
			{"help", 3}, {"what can you do", 6}, {"can you do", 3}, {"commands", 3}, {"what can i say", 5}, {"what can i ask", 5},
			{"how does this work", 4}, {"options", 2},
		}},
		{skill: skillGoodbye, most: 8, reply: (*Responder).goodbye, cues: []cue{
			{"goodbye", 3}, {"good bye", 3}, {"bye", 3}, {"good by", 3}, {"good buy", 3}, {"bye bye", 1}, {"see you", 3},
			{"good night", 3}, {"farewell", 3}, {"later", 1}, {"thats all", 3}, {"hang up", 3},
		}},
		{skill: skillThanks, most: 8, reply: (*Responder).thanks, cues: []cue{
			{"thank you", 3}, {"thanks", 3}, {"thank", 2}, {"well done", 3}, {"very much", 1},
		}},
		{skill: skillGreeting, most: 8, reply: (*Responder).greeting, cues: []cue{
			{"hello", 3}, {"hi", 3}, {"hey", 2}, {"good morning", 3}, {"good afternoon", 3}, {"good evening", 3},
			{"how are you", 4}, {"how do you do", 4}, {"greetings", 3}, {"hey there", 2}, {"hello there", 1},
		}},
	}
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
