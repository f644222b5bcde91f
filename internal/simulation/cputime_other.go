// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package simulation

import "runtime/metrics"

// cpuSeconds is the processor time that this process has used, as the Go runtime
// estimates it at every collection.
func cpuSeconds() float64 {
	samples := []metrics.Sample{{Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"}}
	metrics.Read(samples)
	if samples[0].Value.Kind() != metrics.KindFloat64 || samples[1].Value.Kind() != metrics.KindFloat64 {
		return 0
	}
	return samples[0].Value.Float64() - samples[1].Value.Float64()
}
