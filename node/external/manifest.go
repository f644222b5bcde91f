// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/parley-voice/parley/node/external/protocol"
)

// Manifest is what a package says of itself: parley-node.yaml or parley-node.json.
type Manifest struct {
	Manifest    int                   `yaml:"manifest" json:"manifest"` // version of this format: 1
	Name        string                `yaml:"name" json:"name,omitempty"`
	Version     string                `yaml:"version" json:"version,omitempty"`
	Protocol    []int                 `yaml:"protocol" json:"protocol"`
	SDK         string                `yaml:"sdk" json:"sdk,omitempty"`
	Command     []string              `yaml:"command" json:"command"`
	Declaration *protocol.Declaration `yaml:"declaration" json:"declaration"`
	Files       []File                `yaml:"files" json:"files"`
}

// File is one file of a package.
type File struct {
	Path   string `yaml:"path" json:"path"` // below the manifest's folder
	SHA256 string `yaml:"sha256" json:"sha256"`
	Bytes  int64  `yaml:"bytes" json:"bytes,omitempty"`
}

// Bounds of a package.
const (
	maxManifest = 1 << 20 // bytes
	maxFiles    = 4096
)

// readManifest reads a manifest and holds it to the pin. Its files are looked at by verify.
func readManifest(path string, pin *Pin) (*Manifest, error) {
	f := &faults{place: path + ": "}
	text, err := readBounded(path)
	if err != nil {
		f.add("package", path, fmt.Sprintf("name a manifest that can be read: %v", err))
		return nil, f.err()
	}
	if pin != nil && pin.SHA256 != "" {
		if sum := digest(text); !strings.EqualFold(sum, pin.SHA256) {
			f.add("pin.sha256", pin.SHA256, "the manifest is another, "+sum+": restore the package that was pinned, or pin this one")
			return nil, f.err()
		}
	}
	m := &Manifest{}
	if err := yaml.Unmarshal(text, m); err != nil {
		f.add("manifest", err.Error(), "write YAML or JSON")
		return nil, f.err()
	}
	if m.Declaration != nil {
		if m.Name == "" {
			m.Name = m.Declaration.Package
		}
		if m.Version == "" {
			m.Version = m.Declaration.Version
		}
	}
	var tree yaml.Node
	if m.Manifest <= 1 && yaml.Unmarshal(text, &tree) == nil && len(tree.Content) > 0 { // a later format has other fields
		f.strange(tree.Content[0], reflect.TypeFor[Manifest](), "")
	}
	m.check(f)
	if pin != nil && pin.Version != "" && pin.Version != m.Version {
		f.add("pin.version", pin.Version, fmt.Sprintf("the package is version %q: install the pinned one, or pin this one", m.Version))
	}
	return m, f.err()
}

// strange tells of fields that the type has not: what a package says and nobody reads is a mistake.
func (f *faults) strange(n *yaml.Node, t reflect.Type, path string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, item := range n.Content {
			f.strange(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		fields := map[string]reflect.Type{}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			fields[name] = t.Field(i).Type
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			at := name
			if path != "" {
				at = path + "." + name
			}
			if field, ok := fields[name]; ok {
				f.strange(n.Content[i+1], field, at)
				continue
			}
			f.add(at, n.Content[i+1].Value, fmt.Sprintf("line %d: there is no such field here: use one of %s, or leave it out",
				n.Content[i].Line, strings.Join(slices.Sorted(maps.Keys(fields)), ", ")))
		}
	}
}

func (m *Manifest) check(f *faults) {
	if m.Manifest != 0 && m.Manifest != 1 {
		f.add("manifest", m.Manifest, "use 1")
	}
	if m.Name == "" {
		f.add("name", m.Name, "name the package")
	}
	if m.Version == "" {
		f.add("version", m.Version, "give the package's version")
	}
	if !slices.Contains(m.Protocol, protocol.Version) {
		f.add("protocol", m.Protocol, fmt.Sprintf("this host speaks %d: use a package that does", protocol.Version))
	}
	if len(m.Command) == 0 || m.Command[0] == "" {
		f.add("command", m.Command, "give the program and its arguments")
	}
	if m.Declaration == nil {
		f.add("declaration", "", "say what the node declares of itself")
	}
	if len(m.Files) == 0 || len(m.Files) > maxFiles {
		f.add("files", len(m.Files), fmt.Sprintf("list 1 to %d files with path and sha256", maxFiles))
	}
	for i, file := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(file.Path)) {
			f.add(fmt.Sprintf("files[%d].path", i), file.Path, "name a file below the manifest's folder")
		}
		if sum, err := hex.DecodeString(file.SHA256); err != nil || len(sum) != sha256.Size {
			f.add(fmt.Sprintf("files[%d].sha256", i), file.SHA256, "give 64 hexadecimal digits")
		}
	}
}

// verify holds the files of a package to their checksums.
func (m *Manifest) verify(path string) error {
	f := &faults{place: path + ": "}
	for i, file := range m.Files {
		sum, err := sumFile(filepath.Join(filepath.Dir(path), filepath.FromSlash(file.Path)))
		if err != nil {
			f.add(fmt.Sprintf("files[%d].path", i), file.Path, fmt.Sprintf("restore the file: %v", err))
		} else if !strings.EqualFold(sum, file.SHA256) {
			f.add(fmt.Sprintf("files[%d].sha256", i), file.SHA256, fmt.Sprintf("%s was changed, it has %s: restore it, or write the manifest anew", file.Path, sum))
		}
	}
	return f.err()
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// openRegular opens a regular file. It looks before it opens: opening a pipe waits for who
// writes to it, and a device may have effects.
func openRegular(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

func sumFile(path string) (string, error) {
	file, err := openRegular(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func readBounded(path string) ([]byte, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxManifest+1))
	if err == nil && len(text) > maxManifest {
		return nil, fmt.Errorf("it has more than %d bytes", maxManifest)
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), err
}
