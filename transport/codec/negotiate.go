// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"slices"

	"github.com/parley-voice/parley/transport"
)

// Negotiate picks the codec of a stream: the first that the client offers and that is
// supported, the first supported one when it offers nothing. Both lists are in order of
// preference, names as in transport.Capabilities. The error is a *transport.RefusedError
// with the supported ones.
func Negotiate(offered, supported []string) (string, error) {
	if len(offered) == 0 && len(supported) > 0 {
		return supported[0], nil
	}
	for _, name := range offered {
		if slices.Contains(supported, name) {
			return name, nil
		}
	}
	if len(offered) > maxShown {
		offered = offered[:maxShown]
	}
	return "", &transport.RefusedError{
		Code:      transport.RefusedCodec,
		Reason:    fmt.Sprintf("codec: %.200q", offered),
		Supported: slices.Clone(supported),
	}
}

// maxShown is how many of a client's names an error repeats.
const maxShown = 8
