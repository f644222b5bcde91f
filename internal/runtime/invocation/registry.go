// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"errors"
	"fmt"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/provider"
)

// Providers are the adapters bound to a session, one a modality, with a second candidate
// where there is one: it serves when the first has failed (turn-plan section 10).
type Providers struct {
	STT, SecondSTT provider.STT
	LLM, SecondLLM provider.LLM
	TTS, SecondTTS provider.TTS
}

// STTs lists the recognisers, the preferred one first, as a plan's ordered candidates are.
func (p Providers) STTs() []provider.STT { return ordered(p.STT, p.SecondSTT, p.SecondSTT != nil) }

// LLMs lists the language models.
func (p Providers) LLMs() []provider.LLM { return ordered(p.LLM, p.SecondLLM, p.SecondLLM != nil) }

// TTSs lists the synthesisers.
func (p Providers) TTSs() []provider.TTS { return ordered(p.TTS, p.SecondTTS, p.SecondTTS != nil) }

func ordered[T any](first, second T, has bool) []T {
	if has {
		return []T{first, second}
	}
	return []T{first}
}

// Validate reports every adapter that is missing or does not fit.
func (p Providers) Validate() error {
	var faults []error
	check := func(want provider.Modality, bound bool, describe func() provider.Descriptor) (id string) {
		if !bound {
			faults = append(faults, fmt.Errorf("providers.%s: none is bound: give one", want))
			return ""
		}
		d := describe()
		fault := func(field string, value any, remedy string) {
			faults = append(faults, fmt.Errorf("providers.%s: adapter %q: %s: %v: %s", want, d.ID, field, value, remedy))
		}
		if d.ID == "" {
			fault("id", `""`, "give the adapter an id in lower_snake_case")
		}
		if d.Modality != want {
			fault("modality", d.Modality, "bind it to its own modality")
		}
		if d.ContractVersion != provider.ContractVersion {
			fault("contract_version", d.ContractVersion, "this build speaks "+provider.ContractVersion)
		}
		if rate := d.Capabilities.SampleRateHz; want != provider.ModalityLLM && rate != 0 && rate != timebase.SampleRate {
			fault("sample_rate_hz", rate, fmt.Sprintf("audio inside a session has %d Hz: wrap the adapter in one that converts", timebase.SampleRate))
		}
		return d.ID
	}
	second := func(want provider.Modality, first string, describe func() provider.Descriptor) {
		if id := check(want, true, describe); id == first {
			faults = append(faults, fmt.Errorf("providers.%s: second candidate: %q is the first one as well: give an adapter with an id of its own, or none", want, id))
		}
	}
	stt := check(provider.ModalitySTT, p.STT != nil, func() provider.Descriptor { return p.STT.Descriptor() })
	llm := check(provider.ModalityLLM, p.LLM != nil, func() provider.Descriptor { return p.LLM.Descriptor() })
	tts := check(provider.ModalityTTS, p.TTS != nil, func() provider.Descriptor { return p.TTS.Descriptor() })
	if p.SecondSTT != nil {
		second(provider.ModalitySTT, stt, func() provider.Descriptor { return p.SecondSTT.Descriptor() })
	}
	if p.SecondLLM != nil {
		second(provider.ModalityLLM, llm, func() provider.Descriptor { return p.SecondLLM.Descriptor() })
	}
	if p.SecondTTS != nil {
		second(provider.ModalityTTS, tts, func() provider.Descriptor { return p.SecondTTS.Descriptor() })
	}
	return errors.Join(faults...)
}
