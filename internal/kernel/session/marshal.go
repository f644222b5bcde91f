// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
)

// Kind names what an input or an effect is, e.g. "voice_on" or "fence".
func Kind(r Record) string { return r.kind() }

// Marshal appends the bytes of an input or an effect: a length and the kind's name,
// then its fields. It allocates nothing but what buf lacks.
func Marshal(buf []byte, r Record) []byte {
	c := coder{mode: modeEncode, buf: buf}
	c.record(r)
	return c.buf
}

// record appends the bytes of an input or an effect.
func (c *coder) record(r Record) {
	kind := r.kind()
	c.buf = append(append(c.buf, byte(len(kind))), kind...)
	r.code(c)
}

// UnmarshalInput reads an input. The error wraps ErrRecord.
func UnmarshalInput(b []byte) (Input, error) {
	kind, rest, err := kindOf(b)
	if err != nil {
		return nil, err
	}
	in := newInput(kind)
	if in == nil {
		return nil, fmt.Errorf("%w: unknown input %q", ErrRecord, kind)
	}
	return in, unmarshal(rest, in)
}

// UnmarshalEffect reads an effect. The error wraps ErrRecord.
func UnmarshalEffect(b []byte) (Effect, error) {
	kind, rest, err := kindOf(b)
	if err != nil {
		return nil, err
	}
	e := newEffect(kind)
	if e == nil {
		return nil, fmt.Errorf("%w: unknown effect %q", ErrRecord, kind)
	}
	return e, unmarshal(rest, e)
}

func kindOf(b []byte) (string, []byte, error) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return "", nil, fmt.Errorf("%w: kind cut short", ErrRecord)
	}
	n := int(b[0])
	return string(b[1 : 1+n]), b[1+n:], nil
}

func unmarshal(b []byte, r Record) error {
	c := coder{mode: modeDecode, buf: b}
	r.code(&c)
	if c.err == nil && len(c.buf) > 0 {
		c.fail("end", fmt.Sprintf("%d bytes left over", len(c.buf)))
	}
	if c.err != nil {
		return fmt.Errorf("%s: %w", r.kind(), c.err)
	}
	return nil
}

// Format prints an input or an effect on one line: its kind, then key=value for every
// field that is not zero.
func Format(r Record) string {
	c := coder{mode: modePrint}
	r.code(&c)
	if c.text.Len() == 0 {
		return r.kind()
	}
	return r.kind() + " " + c.text.String()
}

// ParseInput reads the line that Format prints. The error names the field.
func ParseInput(line string) (Input, error) {
	kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	in := newInput(kind)
	if in == nil {
		return nil, fmt.Errorf("%w: unknown input %q", ErrRecord, kind)
	}
	pairs, err := splitPairs(rest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	c := coder{mode: modeParse, pairs: pairs}
	in.code(&c)
	if c.err != nil {
		return nil, fmt.Errorf("%s: %w", kind, c.err)
	}
	if len(pairs) > 0 {
		return nil, fmt.Errorf("%s: %w: it has no field %s", kind, ErrRecord, leastKey(pairs))
	}
	return in, nil
}

// leastKey names one left-over field, the same one every time.
func leastKey(pairs map[string]string) string {
	return slices.Sorted(maps.Keys(pairs))[0]
}

// Digest is a rolling SHA-256 over decisions: equal decisions in equal order give equal
// digests. The zero value is ready.
type Digest struct {
	sum hash.Hash
	c   coder // kept, so that a decision costs no memory
	n   int64
}

// Reset begins anew, with the memory that there is.
func (d *Digest) Reset() {
	if d.sum != nil {
		d.sum.Reset()
	}
	d.n, d.c.buf = 0, d.c.buf[:0]
}

// gathered is how many bytes of decisions go into the hash at once, about: it takes whole
// blocks, and what is less costs it as much.
const gathered = 512

// hash has the hash take what was gathered.
func (d *Digest) hash() {
	if d.sum == nil {
		d.sum = sha256.New()
	}
	_, _ = d.sum.Write(d.c.buf) // a hash's Write never fails
	d.c.buf = d.c.buf[:0]
}

// Add takes the decisions of a step.
func (d *Digest) Add(list []Effect) {
	if len(list) == 0 {
		return
	}
	d.c.mode = modeEncode
	for _, e := range list {
		d.c.record(e)
	}
	if len(d.c.buf) >= gathered {
		d.hash()
	}
	d.n += int64(len(list))
}

// AddMarshalled takes one decision that Marshal has written already; it counts as Add
// would count the decision itself.
func (d *Digest) AddMarshalled(b []byte) {
	d.hash()
	_, _ = d.sum.Write(b) // a hash's Write never fails
	d.n++
}

// Count gives the number of decisions so far.
func (d *Digest) Count() int64 { return d.n }

// Sum gives the digest of everything so far.
func (d *Digest) Sum() [sha256.Size]byte {
	d.hash()
	var out [sha256.Size]byte
	d.sum.Sum(out[:0])
	return out
}
