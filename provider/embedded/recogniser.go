// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"fmt"
	"strings"
)

// blockSamples is the audio that the recogniser takes at a time, 32 ms. Fixed, so that
// the text does not depend on how a caller cuts the audio.
const blockSamples = 512

// voiceNumbers is how many numbers the recogniser can learn of a voice: one for each
// cepstral coefficient, of which the model has 13.
const voiceNumbers = 64

// recogniserRate is what the model was trained for, Hz.
const recogniserRate = 16000

// recogniser is an instance of PocketSphinx with its model loaded.
type recogniser struct {
	*instance
	block uint32 // where a block of audio is put
	voice uint32 // where voiceNumbers are put
}

// recogniserOptions are pocketsphinx's own, one word a line.
//
// The second pass (fwdflat) is left out: it doubles the work after the caller has stopped
// and, on the recordings of docs/engines.md, made more words wrong. The limits on what is
// considered at a time (maxhmmpf, maxwpf) halve the work in bad sound, where it is most,
// at the price of one word in a hundred.
func recogniserOptions() string {
	return strings.Join([]string{
		"-hmm", "/model/en-us",
		"-lm", "/model/en-us.lm.bin",
		"-dict", "/model/cmudict-en-us.dict",
		"-fwdflat", "no",
		"-maxhmmpf", "5000",
		"-maxwpf", "20",
		"",
	}, "\n")
}

func loadRecogniser(ctx context.Context, e *engine, model string) (*recogniser, error) {
	i, err := e.instance(ctx, model)
	if err != nil {
		return nil, err
	}
	r := &recogniser{instance: i}
	if err := r.open(ctx); err != nil {
		i.close(ctx)
		return nil, fmt.Errorf("embedded: loading the recogniser's model from %s: %w: %s", model, err, remedy)
	}
	return r, nil
}

func (r *recogniser) open(ctx context.Context) error {
	options, err := r.writeString(ctx, recogniserOptions())
	if err != nil {
		return err
	}
	rate, err := r.call(ctx, "stt_open", uint64(options))
	if err != nil {
		return err
	}
	if rate != recogniserRate {
		return fmt.Errorf("it takes %d samples a second, wanted %d (%s)", rate, recogniserRate, r.messages)
	}
	if err := r.free(ctx, options); err != nil {
		return err
	}
	if r.block, err = r.allocate(ctx, 2*blockSamples); err != nil {
		return err
	}
	r.voice, err = r.allocate(ctx, 4*voiceNumbers)
	return err
}

// do calls a function that answers with a negative number when it could not do it.
func (r *recogniser) do(ctx context.Context, name string, arguments ...uint64) (int32, error) {
	n, err := r.call(ctx, name, arguments...)
	if err == nil && n < 0 {
		err = fmt.Errorf("%s failed (%s)", name, r.messages)
	}
	return n, err
}

// begin starts an utterance. voice is what end returned for the same caller's last one,
// nil for a caller who was not heard before.
func (r *recogniser) begin(ctx context.Context, voice []byte) error {
	if _, err := r.do(ctx, "stt_reset"); err != nil {
		return err
	}
	if len(voice) > 0 && len(voice) <= 4*voiceNumbers {
		if !r.memory.Write(r.voice, voice) {
			return fmt.Errorf("no room for what is known of the voice at %d", r.voice)
		}
		if _, err := r.do(ctx, "stt_set_voice", uint64(r.voice), uint64(len(voice)/4)); err != nil {
			return err
		}
	}
	_, err := r.do(ctx, "stt_begin")
	return err
}

// feed takes at most blockSamples.
func (r *recogniser) feed(ctx context.Context, pcm []int16) error {
	pcm = pcm[:min(len(pcm), blockSamples)]
	if err := r.writeSamples(r.block, pcm); err != nil {
		return err
	}
	_, err := r.do(ctx, "stt_feed", uint64(r.block), uint64(len(pcm)))
	return err
}

// text is the best guess so far, empty for none.
func (r *recogniser) text(ctx context.Context) (string, error) {
	p, err := r.call(ctx, "stt_text")
	if err != nil || p == 0 {
		return "", err
	}
	s, err := r.readString(uint32(p))
	return strings.ToValidUTF8(s, ""), err
}

// end closes the utterance; text then gives the final guess. It returns what was learnt
// of the voice.
func (r *recogniser) end(ctx context.Context) ([]byte, error) {
	if _, err := r.do(ctx, "stt_end"); err != nil {
		return nil, err
	}
	n, err := r.do(ctx, "stt_voice", uint64(r.voice), voiceNumbers)
	if err != nil {
		return nil, err
	}
	view, ok := r.memory.Read(r.voice, uint32(4*min(n, voiceNumbers)))
	if !ok {
		return nil, fmt.Errorf("what was learnt of the voice cannot be read at %d", r.voice)
	}
	return append([]byte(nil), view...), nil
}
