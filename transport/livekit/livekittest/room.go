// SPDX-License-Identifier: Apache-2.0

package livekittest

import (
	"strings"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/livekit/roomproto"
)

// Room is a room. Its methods may be called from any goroutine.
type Room struct {
	server *Server
	name   string

	mu     sync.Mutex
	agents []*Agent
	people map[string]*Person // by identity
}

func ufragOf(sdp string) string {
	_, rest, _ := strings.Cut(sdp, "a=ice-ufrag:")
	ufrag, _, _ := strings.Cut(rest, "\r\n")
	return ufrag
}

// Agents are those who came, in order, also those who have left.
func (r *Room) Agents() []*Agent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Agent(nil), r.agents...)
}

func (r *Room) agent(sid string) *Agent {
	for _, a := range r.Agents() {
		if a.SID == sid && !a.gone.Load() {
			return a
		}
	}
	return nil
}

// present are the people who are there.
func (r *Room) present() (list []*roomproto.Participant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.people {
		list = append(list, p.info())
	}
	return list
}

func (r *Room) owner(track string) *Person {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.people {
		if p.track == track {
			return p
		}
	}
	return nil
}

// tell tells the agents what is new about somebody.
func (r *Room) tell(p *roomproto.Participant) {
	for _, a := range r.Agents() {
		a.Say(&roomproto.Response{Update: &roomproto.ParticipantUpdate{Participants: []*roomproto.Participant{p}}})
	}
}

func (r *Room) close() {
	r.mu.Lock()
	people := r.people
	r.people = map[string]*Person{}
	r.mu.Unlock()
	for _, p := range people {
		p.stop()
	}
	for _, a := range r.Agents() {
		a.close()
	}
}

// Guest is somebody who is to come into a room.
type Guest struct {
	Identity   string
	Kind       roomproto.Kind
	Attributes map[string]string
	Muted      bool
}

// Person is somebody in a room.
type Person struct {
	Guest
	SID   string
	room  *Room
	track string

	mu      sync.Mutex
	muted   bool
	encoder codec.Encoder
	waiting []int16
	idle    int
	stopped chan struct{}
	once    sync.Once
	done    sync.WaitGroup
}

// Come has somebody come into the room, with a microphone.
func (r *Room) Come(g Guest) *Person {
	p := &Person{Guest: g, SID: r.server.id("PA"), room: r, track: r.server.id("TR"), muted: g.Muted, stopped: make(chan struct{})}
	if f := r.server.config.Opus; f != nil {
		e, err := f.NewEncoder()
		if err != nil {
			r.server.tb.Errorf("livekittest: %v", err)
			return p
		}
		p.encoder = e
		p.done.Go(p.microphone)
	}
	r.mu.Lock()
	r.people[g.Identity] = p
	r.mu.Unlock()
	r.tell(p.info())
	return p
}

// TrackSID is the SID of the microphone's track.
func (p *Person) TrackSID() string { return p.track }

func (p *Person) info() *roomproto.Participant {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &roomproto.Participant{
		SID: p.SID, Identity: p.Identity, State: roomproto.Active, Kind: p.Kind, Attributes: p.Attributes,
		Tracks: []*roomproto.Track{{SID: p.track, Type: roomproto.Audio, Source: roomproto.SourceMicrophone, Muted: p.muted, MimeType: "audio/opus"}},
	}
}

// Speak says something, at the pace of speech.
func (p *Person) Speak(pcm []int16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, pcm...)
}

// microphone sends what is said, a frame each 20 ms, and nothing in between.
func (p *Person) microphone() {
	defer p.encoder.Close()
	began := time.Now()
	header := rtp.Header{Version: 2, SequenceNumber: 65530, Timestamp: 1<<32 - 4800}
	for slot := 0; ; slot++ {
		select {
		case <-p.stopped:
			return
		case <-time.After(time.Until(began.Add(time.Duration(slot) * transport.FrameDuration))):
		}
		pcm := p.next()
		if pcm == nil {
			continue
		}
		payload, err := p.encoder.Encode(nil, pcm)
		if err != nil {
			p.room.server.tb.Errorf("livekittest: %v", err)
			return
		}
		header.SequenceNumber++
		packet := &rtp.Packet{Header: header, Payload: payload}
		packet.Timestamp += uint32(slot * 960)
		for _, a := range p.room.Agents() {
			a.Forward(p.track, packet)
		}
	}
}

// next is the next frame, nil when nothing is said. What is no whole one waits a little for
// the rest.
func (p *Person) next() []int16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.waiting)
	if n == 0 || p.muted {
		return nil
	}
	if p.idle++; n < transport.FrameSamples && p.idle < 10 {
		return nil
	}
	p.idle = 0
	frame := make([]int16, transport.FrameSamples)
	p.waiting = p.waiting[copy(frame, p.waiting):]
	return frame
}

// Mute switches the microphone off or on.
func (p *Person) Mute(on bool) {
	p.mu.Lock()
	p.muted = on
	p.mu.Unlock()
	p.room.tell(p.info())
}

// Send sends the agents data, as this person.
func (p *Person) Send(d *roomproto.Packet) error {
	d.Identity, d.SID = p.Identity, p.SID
	for _, a := range p.room.Agents() {
		if !a.gone.Load() {
			if err := a.Send(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// Go has the person leave, for a reason.
func (p *Person) Go(why roomproto.Reason) {
	p.room.mu.Lock()
	here := p.room.people[p.Identity] == p
	if here {
		delete(p.room.people, p.Identity)
	}
	p.room.mu.Unlock()
	p.stop()
	if here {
		i := p.info()
		i.State, i.Reason, i.Tracks = roomproto.Disconnected, why, nil
		p.room.tell(i)
	}
}

func (p *Person) stop() {
	p.once.Do(func() { close(p.stopped) })
	p.done.Wait()
}
