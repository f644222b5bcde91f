// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/thirdparty"
)

// Pipecat's evaluation harness against the program as it is served, with its own engines.
func TestServesPipecat(t *testing.T) {
	const programs = "../clients/thirdparty/rtvi"
	dir := thirdparty.Install(t, thirdparty.Python(programs))
	p := serveProcess(t, nil)
	url := "ws" + strings.TrimPrefix(p.url, "http") + rtviPath + "ws"
	t.Log(thirdparty.Evaluate(t, dir, filepath.Join(programs, "served.yaml"), url))
}
