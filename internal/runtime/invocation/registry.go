// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"errors"
	"fmt"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/provider"
)

// Providers are the adapters bound to a session, one a modality.
type Providers struct {
	STT provider.STT
	LLM provider.LLM
	TTS provider.TTS
}

// Validate reports every adapter that is missing or does not fit.
func (p Providers) Validate() error {
	var faults []error
	check := func(want provider.Modality, bound bool, describe func() provider.Descriptor) {
		if !bound {
			faults = append(faults, fmt.Errorf("providers.%s: none is bound: give one", want))
			return
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
	}
	check(provider.ModalitySTT, p.STT != nil, func() provider.Descriptor { return p.STT.Descriptor() })
	check(provider.ModalityLLM, p.LLM != nil, func() provider.Descriptor { return p.LLM.Descriptor() })
	check(provider.ModalityTTS, p.TTS != nil, func() provider.Descriptor { return p.TTS.Descriptor() })
	return errors.Join(faults...)
}
