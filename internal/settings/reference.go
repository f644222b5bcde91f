// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Reference names a secret: env://NAME or file://PATH (authority-state section 9). It can
// be shown.
type Reference string

const (
	fromVariable = "env://"
	fromFile     = "file://"
	// maxSecretBytes bounds what is read of one.
	maxSecretBytes = 1 << 16
)

// Valid says whether it is a reference; empty is one to nothing.
func (r Reference) Valid() bool {
	for _, scheme := range []string{fromVariable, fromFile} {
		if rest, ok := strings.CutPrefix(string(r), scheme); ok {
			return rest != ""
		}
	}
	return r == ""
}

// Resolve gives the secret, without the end of line that editors leave. Its errors name
// the reference and never what it leads to.
func (r Reference) Resolve(getenv func(string) string) (string, error) {
	if name, ok := strings.CutPrefix(string(r), fromVariable); ok {
		if secret := getenv(name); secret != "" {
			return secret, nil
		}
		return "", fmt.Errorf("%s: the variable is not set: set it, or refer to another place", r)
	}
	path, ok := strings.CutPrefix(string(r), fromFile)
	if !ok {
		return "", errors.New("the reference is empty: use env://NAME or file://PATH")
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", r, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", r, err)
	case len(data) > maxSecretBytes:
		return "", fmt.Errorf("%s: it has more than %d bytes: give a file with the secret alone", r, maxSecretBytes)
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s: the file is empty", r)
	}
	return secret, nil
}
