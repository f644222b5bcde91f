// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package hostile

import (
	"errors"

	"github.com/parley-voice/parley/node"
)

func signals(*nodeOf, *node.Context) error { return errors.New("this system has no signals") }
