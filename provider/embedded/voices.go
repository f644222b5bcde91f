// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"container/list"
	"sync"
)

// maxVoices is how many callers' voices are remembered.
const maxVoices = 1024

// voiceMemory remembers what the recogniser learnt of each session's caller, so that the
// next utterance starts with it whichever instance takes it. The longest unheard is
// forgotten first. The zero value is ready.
type voiceMemory struct {
	mu      sync.Mutex
	order   list.List // of voice, the last heard in front
	session map[string]*list.Element
}

type voice struct {
	session string
	learnt  []byte
}

func (v *voiceMemory) of(session string) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e, ok := v.session[session]; ok {
		if heard, ok := e.Value.(voice); ok {
			return heard.learnt
		}
	}
	return nil
}

func (v *voiceMemory) keep(session string, learnt []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.session == nil {
		v.session = make(map[string]*list.Element)
	}
	heard := voice{session: session, learnt: learnt}
	if e, ok := v.session[session]; ok {
		e.Value = heard
		v.order.MoveToFront(e)
		return
	}
	v.session[session] = v.order.PushFront(heard)
	if v.order.Len() > maxVoices {
		if oldest, ok := v.order.Remove(v.order.Back()).(voice); ok {
			delete(v.session, oldest.session)
		}
	}
}
