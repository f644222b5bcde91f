// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package bench

import (
	"errors"
	"os"
)

func socketPair() (ours, theirs *os.File, err error) {
	return nil, nil, errors.New("bench: this system has no pairs of sockets to measure a bare echo over")
}
