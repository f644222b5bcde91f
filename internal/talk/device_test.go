// SPDX-License-Identifier: Apache-2.0

package talk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asDevice has this test's binary be a program that records or plays.
const asDevice = "PARLEY_TEST_AS_DEVICE"

func TestMain(m *testing.M) {
	switch kind, arg, _ := strings.Cut(os.Getenv(asDevice), " "); kind {
	case "":
		goleak.VerifyTestMain(m)
	case "record": // a steady sound, at the pace of speech
		for {
			if _, err := os.Stdout.Write(bytes.Repeat([]byte{0x10, 0x27}, frameSize)); err != nil {
				return
			}
			time.Sleep(frameTime)
		}
	case "fail":
		fmt.Fprint(os.Stderr, "cannot open\naudio device: "+strings.Repeat("no ", 1000))
	case "end":
		fmt.Fprint(os.Stdout, strings.Repeat("\x00", 2*frameSize))
		time.Sleep(settle / 4)
	case "mute":
		time.Sleep(time.Minute)
	case "play":
		if f, err := os.Create(arg); err == nil {
			_, _ = io.Copy(f, os.Stdin) // the test reads what came
		}
	}
}

func device(t *testing.T, kind string) string {
	t.Helper()
	t.Setenv(asDevice, kind)
	path, err := os.Executable()
	if err != nil || strings.Contains(path, " ") {
		t.Fatalf("%s cannot be called: %v: use a folder without blanks in its name", path, err)
	}
	return path
}

const deadline = 30 * time.Second

// await waits until something is so.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come:", what)
		}
	}
}

func TestMicrophone(t *testing.T) {
	m, err := OpenMicrophone(device(t, "record"))
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]int16, frameSize)
	await(t, "sound", func() bool {
		for i := range frame {
			frame[i] = 30000
		}
		m.Mix(frame)
		return frame[0] != 30000
	})
	if frame[0] != 32767 { // 30000 and 10000
		t.Errorf("two sounds make %d: it ran over", frame[0])
	}
	time.Sleep(20 * frameTime) // nobody listens
	m.lock.Lock()
	if n := len(m.pcm); n > mostAhead {
		t.Errorf("%d samples are kept", n)
	}
	m.lock.Unlock()
	if err := errors.Join(m.Gone(), m.Close(), m.Gone()); err != nil {
		t.Error(err)
	}
}

func TestMicrophoneThatEnds(t *testing.T) {
	m, err := OpenMicrophone(device(t, "end"))
	if err != nil {
		t.Fatal(err)
	}
	var told error
	await(t, "its end", func() bool { told = m.Gone(); return told != nil })
	if !strings.Contains(told.Error(), "microphone is gone") || m.Gone() != nil {
		t.Errorf("told %v, and again %v", told, m.Gone())
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestMicrophoneThatDoesNotWork(t *testing.T) {
	for kind, says := range map[string]string{"fail": "cannot open audio device", "mute": "no sound within"} {
		_, err := OpenMicrophone(device(t, kind))
		if err == nil || !strings.Contains(err.Error(), says) || len(err.Error()) > 2*mostComplaint {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := OpenMicrophone("  "); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Error(err)
	}
	if _, err := OpenMicrophone("/does/not/exist -x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestSpeaker(t *testing.T) {
	path := filepath.Join(t.TempDir(), "played")
	s, err := OpenSpeaker(device(t, "play "+path))
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]int16, frameSize)
	frame[0], frame[1] = 258, -2
	s.Play(frame)
	var got []byte
	await(t, "what was played", func() bool { got, _ = os.ReadFile(path); return len(got) >= 2*frameSize })
	if !bytes.HasPrefix(got, []byte{2, 1, 0xfe, 0xff, 0}) {
		t.Errorf("it plays % x", got[:8])
	}
	for range 10 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A loudspeaker whose program does not read holds nobody up.
func TestSpeakerThatHangs(t *testing.T) {
	s, err := OpenSpeaker(device(t, "mute"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10_000 {
			s.Play(make([]int16, frameSize))
		}
	}()
	select {
	case <-done:
	case <-time.After(deadline):
		t.Fatal("Play waits")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// One that fails says why: at once, or, where the machine is busy, in the conversation.
func TestSpeakerThatFails(t *testing.T) {
	s, err := OpenSpeaker(device(t, "fail"))
	if err == nil {
		await(t, "its end", func() bool { err = s.Gone(); return err != nil })
	}
	if !strings.Contains(err.Error(), "cannot open audio device") {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Where no program is known it is said what to install; one that is there and does not work
// is told, and the next is tried.
func TestNoDevice(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := OpenMicrophone(""); !errors.Is(err, ErrNoDevice) {
		t.Error(err)
	}
	if _, err := OpenSpeaker(""); !errors.Is(err, ErrNoDevice) {
		t.Error(err)
	}
	self := device(t, "fail")
	for _, name := range []string{"parec", "arecord"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := OpenMicrophone("")
	if !errors.Is(err, ErrNoDevice) || strings.Count(err.Error(), "gave no sound: cannot open") != 2 {
		t.Error(err)
	}
}

// The command lines are in the order of their systems, and each is one program.
func TestKnownPrograms(t *testing.T) {
	for _, system := range []string{"linux", "darwin", "freebsd"} {
		for _, c := range append(recorders(system), players(system)...) {
			if name := strings.Fields(c)[0]; !strings.Contains("parec pacat arecord aplay sox ffmpeg", name) || strings.Contains(c, "%") {
				t.Errorf("%s: %q", system, c)
			}
		}
	}
}

// Nobody's device may be nil in a conversation without any.
func TestNoDeviceAtAll(t *testing.T) {
	var m *Microphone
	var s *Speaker
	frame := make([]int16, frameSize)
	m.Mix(frame)
	s.Play(frame)
	if err := errors.Join(m.Gone(), s.Gone(), m.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}
