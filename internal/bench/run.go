// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
)

// IDs names the cases.
func IDs() []string {
	return []string{"P1", "P2", "P3", "P4", "P5", "P7", "P8", "P9", "P10", "P11", "P12", "sandbox", "sockets", "curve"}
}

// Run measures every case and gives the rows in order. An error says that a case could
// not be measured; the rows of the others are there all the same.
func Run(o Options) ([]Result, error) {
	o = o.withDefaults()
	var rows []Result
	var faults []error
	take := func(id, what string, measure func() ([]Result, error)) {
		if !o.Only(id) {
			return
		}
		o.Say(id + ": " + what)
		list, err := measure()
		rows = append(rows, list...)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", id, err))
		}
	}
	crowds := newCrowds(o)
	defer crowds.close()
	one := func(r Result) ([]Result, error) { return []Result{r}, nil }
	take("P1", "dispatch", func() ([]Result, error) { return one(dispatch(o)) })
	take("P2", "ingress", func() ([]Result, error) { return one(ingress(o)) })
	take("P3", "lateness of frames", crowds.lateFrames)
	take("P4", "cost of frames", crowds.frameCost)
	take("P5", "cancel to fence", func() ([]Result, error) {
		r, err := cancels(o)
		return []Result{r}, err
	})
	take("P7", "recorder", func() ([]Result, error) { return recorders(o) })
	take("P8", "idle sessions", func() ([]Result, error) { return idle(o) })
	take("P9", "lateness while garbage is collected", func() ([]Result, error) { return collecting(o, crowds.machine()) })
	take("P10", "replay", func() ([]Result, error) {
		r, err := replays(o)
		return []Result{r}, err
	})
	take("P11", "simulation", func() ([]Result, error) {
		r, err := simulations(o)
		return []Result{r}, err
	})
	take("P12", "a frame through an external node", func() ([]Result, error) {
		r, err := outside(o)
		return []Result{r}, err
	})
	take("sandbox", "a frame through a WebAssembly node", func() ([]Result, error) {
		r, err := sandboxed(o)
		return []Result{r}, err
	})
	take("sockets", "callers over WebSocket", crowds.sockets)
	take("curve", "cost against sessions", crowds.curve)
	return rows, errors.Join(faults...)
}
