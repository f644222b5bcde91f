// SPDX-License-Identifier: Apache-2.0

package talk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Sound goes through programs that the machine has, as raw signed 16 bit little-endian at
// 16 kHz, mono: a library would need cgo, and no other way records everywhere.

// recorders are programs that write what the microphone hears to their standard output, the
// best first.
func recorders(system string) []string {
	list := []string{
		"parec --raw --format=s16le --rate=16000 --channels=1 --latency-msec=20",
		"arecord -q -t raw -f S16_LE -r 16000 -c 1 --buffer-time=200000",
		"sox -q --buffer 1024 -d -t raw -r 16000 -e signed-integer -b 16 -c 1 -",
	}
	ffmpeg := "ffmpeg -nostdin -loglevel error -fflags nobuffer -f %s -i %s -f s16le -ar 16000 -ac 1 -flush_packets 1 -"
	switch system {
	case "darwin":
		return append(list[2:], fmt.Sprintf(ffmpeg, "avfoundation", ":default"))
	case "linux":
		return append(list, fmt.Sprintf(ffmpeg, "pulse", "default"), fmt.Sprintf(ffmpeg, "alsa", "default"))
	}
	return list
}

// players are programs that play what they read from their standard input.
func players(system string) []string {
	list := []string{
		"pacat --playback --raw --format=s16le --rate=16000 --channels=1 --latency-msec=60",
		"aplay -q -t raw -f S16_LE -r 16000 -c 1 --buffer-time=100000",
		"sox -q --buffer 1024 -t raw -r 16000 -e signed-integer -b 16 -c 1 - -d",
	}
	if system == "darwin" {
		return list[2:]
	}
	return list
}

// ErrNoDevice: no program that is known can be found or works.
var ErrNoDevice = errors.New("no program is found that works: install PulseAudio's or ALSA's utilities, or sox")

const (
	// settle is how long a recorder may take to give its first sound, and a player to fail.
	settle     = 2 * time.Second
	settlePlay = 300 * time.Millisecond
	// mostComplaint bounds what is kept of what a program says.
	mostComplaint = 400
	// cushion is what a microphone is behind at first, so that its lumps join; mostAhead is
	// what is kept of one whose clock runs fast.
	cushion   = 3 * frameSize
	mostAhead = 10 * frameSize
	// mostBehind is how many frames a loudspeaker's program may be behind.
	mostBehind = 5
)

// program is one that records or plays.
type program struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // it has ended

	mu     sync.Mutex
	said   bytes.Buffer // the beginning of its complaints
	closed bool
	told   bool
}

// Write keeps the beginning of what the program complains about.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said.Write(b[:min(len(b), mostComplaint-p.said.Len())])
	return len(b), nil
}

// gone gives, once, why it ended by itself.
func (p *program) gone(what string) error {
	select {
	case <-p.done:
	default:
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told || p.closed {
		return nil
	}
	p.told = true
	return fmt.Errorf("the %s is gone: %s ended%s; the conversation goes on without", what, p.name, p.complaint())
}

func (p *program) complaint() string {
	if text := strings.Join(strings.Fields(p.said.String()), " "); text != "" {
		return ": " + text
	}
	return ""
}

// start runs a command line. pipes is called before it begins.
func start(command string, pipes func(*exec.Cmd) error) (*program, error) {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil, errors.New("the command is empty: name a program and its arguments")
	}
	p := &program{name: words[0], done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), words[0], words[1:]...)
	p.cmd.Stderr = p
	p.cmd.WaitDelay = time.Second
	ownGroup(p.cmd)
	if err := pipes(p.cmd); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// reap waits for the end of the program.
func (p *program) reap() {
	_ = p.cmd.Wait() // that it has ended says all
	close(p.done)
}

// close ends it and waits for that.
func (p *program) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.cmd.Process.Kill() // of one that has ended
	select {
	case <-p.done:
		return nil
	case <-time.After(settle):
		return fmt.Errorf("%s does not end", p.name)
	}
}

// first tries the commands until one works: a user's own, or those that are known and there.
func first[T any](command string, known []string, open func(string) (T, error)) (device T, err error) {
	if command != "" {
		return open(command)
	}
	var faults []error
	for _, c := range known {
		name, _, _ := strings.Cut(c, " ")
		if _, err := exec.LookPath(name); err != nil {
			continue
		}
		if device, err = open(c); err == nil {
			return device, nil
		}
		faults = append(faults, err)
	}
	return device, errors.Join(append(faults, ErrNoDevice)...)
}

// Microphone is a program that records. A nil one is silent.
type Microphone struct {
	*program
	heard chan struct{} // the first sound came

	lock    sync.Mutex
	pcm     []int16
	flowing bool
}

// OpenMicrophone runs command, or with none the first program that is known and records.
func OpenMicrophone(command string) (*Microphone, error) {
	return first(command, recorders(runtime.GOOS), openMicrophone)
}

func openMicrophone(command string) (*Microphone, error) {
	var out io.ReadCloser
	p, err := start(command, func(c *exec.Cmd) (err error) {
		out, err = c.StdoutPipe()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("microphone: %w", err)
	}
	m := &Microphone{program: p, heard: make(chan struct{})}
	go m.run(out)
	late := time.NewTimer(settle)
	defer late.Stop()
	select {
	case <-m.heard:
		return m, nil
	case <-p.done:
		return nil, fmt.Errorf("microphone: %s gave no sound%s", p.name, p.complaint())
	case <-late.C:
		return nil, errors.Join(fmt.Errorf("microphone: %s gave no sound within %v%s", p.name, settle, p.complaint()), p.close())
	}
}

// Name is that of the program.
func (p *program) Name() string { return p.name }

func (m *Microphone) run(out io.Reader) {
	defer m.reap()
	var b [2 * frameSize]byte
	for {
		n, err := io.ReadFull(out, b[:])
		if n > 1 {
			m.add(b[:n&^1])
		}
		if err != nil {
			return
		}
	}
}

func (m *Microphone) add(b []byte) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.pcm == nil {
		close(m.heard)
	}
	for ; len(b) > 1; b = b[2:] {
		m.pcm = append(m.pcm, int16(binary.LittleEndian.Uint16(b)))
	}
	if over := len(m.pcm) - mostAhead; over > 0 { // its clock runs fast, or nobody listened
		m.pcm = append(m.pcm[:0], m.pcm[over:]...)
	}
}

// Mix adds what was heard to frame.
func (m *Microphone) Mix(frame []int16) {
	if m == nil {
		return
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	if !m.flowing && len(m.pcm) < cushion {
		return
	}
	n := min(len(frame), len(m.pcm))
	m.flowing = n == len(frame)
	for i, v := range m.pcm[:n] {
		frame[i] = int16(max(-32768, min(32767, int(frame[i])+int(v))))
	}
	m.pcm = append(m.pcm[:0], m.pcm[n:]...)
}

// Gone says, once, that the microphone has ended by itself.
func (m *Microphone) Gone() error {
	if m == nil {
		return nil
	}
	return m.gone("microphone")
}

// Close ends the program.
func (m *Microphone) Close() error {
	if m == nil {
		return nil
	}
	return m.close()
}

// Speaker is a program that plays. A nil one plays nothing.
type Speaker struct {
	*program
	in     io.WriteCloser
	frames chan [frameSize]int16
	once   sync.Once
}

// OpenSpeaker runs command, or with none the first program that is known and plays.
func OpenSpeaker(command string) (*Speaker, error) {
	return first(command, players(runtime.GOOS), openSpeaker)
}

func openSpeaker(command string) (*Speaker, error) {
	var in io.WriteCloser
	p, err := start(command, func(c *exec.Cmd) (err error) {
		in, err = c.StdinPipe()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("loudspeaker: %w", err)
	}
	s := &Speaker{program: p, in: in, frames: make(chan [frameSize]int16, mostBehind)}
	go p.reap()
	go s.run()
	late := time.NewTimer(settlePlay)
	defer late.Stop()
	select {
	case <-p.done:
		return nil, errors.Join(fmt.Errorf("loudspeaker: %s ended at once%s", p.name, p.complaint()), s.Close())
	case <-late.C:
		return s, nil
	}
}

// run writes at the pace of the program; that it has ended is seen by gone.
func (s *Speaker) run() {
	var b [2 * frameSize]byte
	for frame := range s.frames {
		for i, v := range frame {
			binary.LittleEndian.PutUint16(b[2*i:], uint16(v))
		}
		if _, err := s.in.Write(b[:]); err != nil {
			break
		}
	}
	for range s.frames { // until Close
		continue
	}
}

// Play takes a frame. What a program that is behind has no room for is lost.
func (s *Speaker) Play(frame []int16) {
	if s == nil {
		return
	}
	select {
	case s.frames <- [frameSize]int16(frame):
	default:
	}
}

// Gone says, once, that the loudspeaker has ended by itself.
func (s *Speaker) Gone() error {
	if s == nil {
		return nil
	}
	return s.gone("loudspeaker")
}

// Close ends the program. Nothing may be played any more.
func (s *Speaker) Close() (err error) {
	if s == nil {
		return nil
	}
	s.once.Do(func() {
		close(s.frames)
		err = s.close()
	})
	return err
}
