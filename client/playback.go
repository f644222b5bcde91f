// SPDX-License-Identifier: Apache-2.0

package client

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/wire"
)

// ackEvery is how often playback is acknowledged while there is sound.
const ackEvery = 100 * time.Millisecond

// fencesKept is how many fenced generations are remembered.
const fencesKept = 16

// playback holds the sound that is about to be heard, and knows how far it was.
type playback struct {
	rate  int64
	ahead int64 // samples that are gathered before it begins
	most  int64 // samples that are held
	send  func(*wire.Played)

	mu      sync.Mutex
	pieces  []piece
	held    int64
	since   time.Time // when the first piece came that waits to begin
	playing bool
	at      mark  // what was given out last
	acked   int64 // samples given out since the last acknowledgement
	told    mark
	fenced  []uint32
	never   bool
	lost    int64 // samples that there was no room for
	dry     int64 // times that it ran dry while playing
}

// piece is a frame, or what is left of it.
type piece struct {
	generation uint32
	position   int64
	pcm        []byte
	counts     int // samples of pcm that are the turn's; the rest is padding
}

// mark is a position of an output.
type mark struct {
	generation uint32
	position   int64
}

func newPlayback(c Config, send func(*wire.Played)) *playback {
	samples := func(d time.Duration) int64 { return int64(d) * int64(c.Rate) / int64(time.Second) }
	return &playback{rate: int64(c.Rate), ahead: samples(c.Ahead), most: samples(c.Buffer), send: send}
}

// put takes a frame of the server.
func (p *playback) put(a *wire.Audio, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.never || p.isFenced(a.Generation) {
		return
	}
	n := int64(len(a.Payload) / 2)
	for p.held+n > p.most && len(p.pieces) > 0 {
		p.drop()
	}
	if len(p.pieces) == 0 {
		p.since = now
	}
	p.pieces = append(p.pieces, piece{a.Generation, a.Position, append([]byte(nil), a.Payload...), int(a.Samples)})
	p.held += n
}

// drop loses the oldest piece.
func (p *playback) drop() {
	n := int64(len(p.pieces[0].pcm) / 2)
	p.lost += n
	p.held -= n
	p.pieces[0] = piece{}
	p.pieces = p.pieces[1:]
}

func (p *playback) isFenced(generation uint32) bool {
	for _, g := range p.fenced {
		if g == generation {
			return true
		}
	}
	return false
}

// read fills pcm with what is to be heard now, and with silence; it gives the number of
// samples that are no silence of its own.
func (p *playback) read(pcm []int16, now time.Time) int {
	p.mu.Lock()
	n := p.fill(pcm, now)
	var say *wire.Played
	due := p.acked >= p.rate*int64(ackEvery)/int64(time.Second) || len(p.pieces) == 0
	if p.at != p.told && (due || p.at.generation != p.told.generation) {
		say = p.report(false)
	}
	p.mu.Unlock()
	if say != nil {
		p.send(say)
	}
	return n
}

func (p *playback) fill(pcm []int16, now time.Time) (n int) {
	clear(pcm)
	if !p.playing {
		if len(p.pieces) == 0 || p.held < p.ahead && now.Sub(p.since) < time.Duration(p.ahead)*time.Second/time.Duration(p.rate) {
			return 0
		}
		p.playing = true
	}
	for n < len(pcm) && len(p.pieces) > 0 {
		one := &p.pieces[0]
		take := min(len(pcm)-n, len(one.pcm)/2)
		for i := range take {
			pcm[n+i] = int16(binary.LittleEndian.Uint16(one.pcm[2*i:]))
		}
		counted := min(take, one.counts)
		one.pcm, one.counts, one.position = one.pcm[2*take:], one.counts-counted, one.position+int64(counted)
		p.at = mark{one.generation, one.position}
		p.acked += int64(counted)
		p.held -= int64(take)
		n += take
		if len(one.pcm) < 2 {
			p.pieces[0] = piece{}
			p.pieces = p.pieces[1:]
		}
	}
	if len(p.pieces) == 0 && n < len(pcm) {
		p.playing = false
		p.dry++
	}
	return n
}

// report is how far it was heard.
func (p *playback) report(final bool) *wire.Played {
	p.told, p.acked = p.at, 0
	return &wire.Played{Generation: p.at.generation, Position: p.at.position, Final: final}
}

// fence drops an output, and says where it really stopped.
func (p *playback) fence(f *wire.Fence) {
	p.mu.Lock()
	kept := p.pieces[:0]
	for _, one := range p.pieces {
		if f.Session || one.generation == f.Generation {
			p.held -= int64(len(one.pcm) / 2)
			continue
		}
		kept = append(kept, one)
	}
	clear(p.pieces[len(kept):])
	p.pieces = kept
	if len(kept) == 0 {
		p.playing = false
	}
	var say *wire.Played
	if f.Session {
		p.never = true
		if p.at.generation != 0 {
			say = p.report(true)
		}
	} else if !p.isFenced(f.Generation) {
		if p.fenced = append(p.fenced, f.Generation); len(p.fenced) > fencesKept {
			p.fenced = p.fenced[1:]
		}
		say = &wire.Played{Generation: f.Generation, Turn: f.Turn, Final: true}
		if p.at.generation == f.Generation {
			say.Position = p.report(true).Position
		}
	}
	p.mu.Unlock()
	if say != nil {
		p.send(say)
	}
}
