// SPDX-License-Identifier: Apache-2.0

package voices

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/parley-voice/parley/internal/audio"
)

//go:embed voices.json PROVENANCE.md recordings/*.wav
var files embed.FS

// ErrUnknown is an id that no recording has.
var ErrUnknown = errors.New("no such recording")

// Role is what a recording is good for in a conversation.
type Role string

const (
	// RoleCaller is a whole phrase to take a turn with.
	RoleCaller Role = "caller"
	// RoleBargeIn is a phrase to interrupt with: at least 1.5 s, without a pause.
	RoleBargeIn Role = "barge_in"
	// RoleBackchannel is a short sound, under 280 ms, that a voice activity
	// detector reports and that must not interrupt.
	RoleBackchannel Role = "backchannel"
	// RoleExtra is for trying things out; another voice, another room.
	RoleExtra Role = "extra"
)

// Voice describes one recording.
type Voice struct {
	ID   string `json:"id"`
	File string `json:"file"` // within this package's folder
	Role Role   `json:"role"`
	// Speaker is one name per human voice: "librivox" or "kennedy".
	Speaker string `json:"speaker"`
	// Transcript is what the human says.
	Transcript string `json:"transcript"`
	// Heard is what the offline recogniser once made of it (PROVENANCE.md
	// tells how); a hint for people, no promise.
	Heard      string `json:"heard"`
	DurationMS int    `json:"duration_ms"`
	SHA256     string `json:"sha256"` // of File, in hex
	Source     Source `json:"source"`
}

// Source is where a recording was cut from: samples FromSample up to, without,
// ToSample of File.
type Source struct {
	File       string `json:"file"`
	SHA256     string `json:"sha256"`
	FromSample int    `json:"from_sample"`
	ToSample   int    `json:"to_sample"`
}

// All lists the recordings in the order of voices.json.
func All() ([]Voice, error) {
	b, err := files.ReadFile("voices.json")
	if err != nil {
		return nil, fmt.Errorf("voices: %w", err)
	}
	var list struct {
		Version int     `json:"version"`
		Voices  []Voice `json:"voices"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("voices: voices.json: %w", err)
	}
	if list.Version != 1 {
		return nil, fmt.Errorf("voices: voices.json: version is %d: this program reads 1", list.Version)
	}
	return list.Voices, nil
}

// Lookup finds the recording of an id. An unknown one is ErrUnknown, with the
// ids that there are.
func Lookup(id string) (Voice, error) {
	list, err := All()
	if err != nil {
		return Voice{}, err
	}
	var ids []string
	for _, v := range list {
		if v.ID == id {
			return v, nil
		}
		ids = append(ids, v.ID)
	}
	return Voice{}, fmt.Errorf("voices: id is %q: %w: use one of %s", id, ErrUnknown, strings.Join(ids, ", "))
}

// WAV is the recording's file.
func (v Voice) WAV() ([]byte, error) {
	b, err := files.ReadFile(v.File)
	if err != nil {
		return nil, fmt.Errorf("voices: %s: %w", v.ID, err)
	}
	return b, nil
}

// Clip is the recording's samples, 16 kHz mono; its name is the id.
func (v Voice) Clip() (audio.Clip, error) {
	b, err := v.WAV()
	if err != nil {
		return audio.Clip{}, err
	}
	clip, _, err := audio.DecodeWAV(bytes.NewReader(b), v.ID)
	if err != nil {
		return audio.Clip{}, fmt.Errorf("voices: %w", err)
	}
	return clip, nil
}

// Provenance is the text of PROVENANCE.md, in Markdown.
func Provenance() (string, error) {
	b, err := files.ReadFile("PROVENANCE.md")
	if err != nil {
		return "", fmt.Errorf("voices: %w", err)
	}
	return string(b), nil
}
