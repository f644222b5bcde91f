// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Envelope is the outline of one channel: the lowest and highest sample of every bucket of BucketMs milliseconds.
// Five to ten milliseconds draw speech well; at 5 a two-minute call takes about 130 kB per voice in the page.
type Envelope struct {
	BucketMs int
	Min, Max []int16
}

// MarshalJSON writes {"bucket_ms": n, "pairs": base64}, where pairs is min and max alternating, 16-bit little endian.
func (e Envelope) MarshalJSON() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	pairs := make([]byte, 0, 4*len(e.Min))
	for i := range e.Min {
		pairs = binary.LittleEndian.AppendUint16(pairs, uint16(e.Min[i]))
		pairs = binary.LittleEndian.AppendUint16(pairs, uint16(e.Max[i]))
	}
	return json.Marshal(struct {
		BucketMs int    `json:"bucket_ms"`
		Pairs    string `json:"pairs"`
	}{e.BucketMs, base64.StdEncoding.EncodeToString(pairs)})
}

func (e Envelope) check() error {
	if len(e.Min) != len(e.Max) {
		return fmt.Errorf("envelope has %d minima and %d maxima: give one of each per bucket", len(e.Min), len(e.Max))
	}
	if len(e.Min) > 0 && e.BucketMs < 1 {
		return fmt.Errorf("envelope bucket_ms is %d: use 5 to 10", e.BucketMs)
	}
	return nil
}

// Tracer draws an Envelope from samples as they come, holding no audio. One goroutine at a time.
type Tracer struct {
	envelope Envelope
	perMs    int
	inBucket int
	low      int16
	high     int16
}

// NewTracer traces mono samples of rate Hz into buckets of bucketMs. The rate must be whole kilohertz, as every rate
// inside the runtime is; ErrRate otherwise.
func NewTracer(rate, bucketMs int) (*Tracer, error) {
	if rate < 1000 || rate%1000 != 0 || bucketMs < 1 {
		return nil, fmt.Errorf("trace %d Hz in buckets of %d ms: %w", rate, bucketMs, ErrRate)
	}
	return &Tracer{envelope: Envelope{BucketMs: bucketMs}, perMs: rate / 1000}, nil
}

// ErrRate says that a rate cannot be cut into whole buckets.
var ErrRate = errors.New("the rate must be a multiple of 1000 Hz and the bucket at least 1 ms: resample first")

// Add continues the trace with the samples that follow those added before.
func (t *Tracer) Add(samples []int16) {
	size := t.perMs * t.envelope.BucketMs
	for _, sample := range samples {
		if t.inBucket == 0 {
			t.low, t.high = sample, sample
		} else {
			t.low, t.high = min(t.low, sample), max(t.high, sample)
		}
		if t.inBucket++; t.inBucket == size {
			t.flush()
		}
	}
}

func (t *Tracer) flush() {
	t.envelope.Min = append(t.envelope.Min, t.low)
	t.envelope.Max = append(t.envelope.Max, t.high)
	t.inBucket = 0
}

// Envelope ends the trace; a last incomplete bucket counts as one.
func (t *Tracer) Envelope() Envelope {
	if t.inBucket > 0 {
		t.flush()
	}
	return t.envelope
}
