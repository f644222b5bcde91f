// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/parley-voice/parley/api/eventabi"
)

// metricsFile takes metrics events as JSON lines. One goroutine at a time uses it.
type metricsFile struct {
	file *os.File
	out  *bufio.Writer
	err  error // the first
}

// createMetrics begins the file, replacing what is there; without a name there is none.
func createMetrics(name string) (*metricsFile, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w: name a file that can be written", err)
	}
	return &metricsFile{file: file, out: bufio.NewWriter(file)}, nil
}

// observer gives what writes an event, nil when nobody looks.
func (m *metricsFile) observer() func(*eventabi.Envelope) {
	if m == nil {
		return nil
	}
	return m.write
}

func (m *metricsFile) write(e *eventabi.Envelope) {
	if m.err != nil {
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = m.out.Write(append(line, '\n'))
	}
	m.err = err
}

// close says whether everything was written.
func (m *metricsFile) close() error {
	if m == nil {
		return nil
	}
	if err := errors.Join(m.err, m.out.Flush(), m.file.Close()); err != nil {
		return fmt.Errorf("--metrics %s is not whole: %w", m.file.Name(), err)
	}
	return nil
}
