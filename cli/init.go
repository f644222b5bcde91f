// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/api/schema"
)

//go:embed templates
var templateFiles embed.FS

// Names of the templates.
const (
	customNode  = "custom-node"
	customDir   = "shout"
	templateDir = "templates"
)

// templates lists the templates, with what each is.
func templates() [][2]string {
	return [][2]string{
		{"voice-assistant", "answers who calls"},
		{"translator", "says in one language what was said in another"},
		{"ivr", "answers what was heard well, and asks again for what was not"},
		{customNode, "a voice assistant with a node of your own, in Go, with its test"},
	}
}

func templateNames() (names []string) {
	for _, t := range templates() {
		names = append(names, t[0])
	}
	return names
}

func newInitCommand(env *environment) *cobra.Command {
	list := ""
	for _, t := range templates() {
		list += fmt.Sprintf("  %-16s %s\n", t[0], t[1])
	}
	return &cobra.Command{
		Use:     "init TEMPLATE [DIR]",
		GroupID: groupSetup,
		Short:   "Write a commented pipeline spec to begin with",
		Long: `Write a pipeline spec to begin with into DIR, which is made if it is not there; without
DIR into this folder, a node of your own into one of its name. What is written is fit:
'parley lint' has nothing to say of it. The JSON Schema is written too, and the spec names
it, so that an editor completes fields and tells what they are. A node of your own comes
with its test, and with a program in agent that has these commands and the node: 'go run
./agent lint' takes the place of 'parley lint' there.

` + list + `
A file that is there already is not touched, and nothing is written then; the schema, which
templates share, may be there as it would be written.

Exit code: 0 it is written, 2 wrong usage, or a file is there already or cannot be written.`,
		Example: `  parley init voice-assistant
  parley init ivr shop
  parley init custom-node`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usageErrorf("no TEMPLATE is given; use one of %s", strings.Join(templateNames(), ", "))
			case len(args) > 2:
				return usageErrorf("%d arguments given, at most 2 wanted: a TEMPLATE and a DIR", len(args))
			case !slices.Contains(templateNames(), args[0]):
				hint := ""
				if near := schema.Nearest(args[0], templateNames()); near != "" {
					hint = "did you mean " + near + "? Otherwise "
				}
				return usageErrorf("TEMPLATE is %q; %suse one of %s", args[0], hint, strings.Join(templateNames(), ", "))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return templateNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if args[0] == customNode {
				dir = customDir
			}
			if len(args) == 2 {
				if dir = args[1]; dir == "" {
					return usageErrorf("DIR is empty; name a folder, or . for this one")
				}
			}
			return initSpec(env, args[0], dir)
		},
	}
}

// written is a file that init writes.
type written struct {
	name string
	text []byte
}

// templateOf gives the files of a template.
func templateOf(template string) ([]written, error) {
	spec := template + ".yaml"
	list := []written{{name: spec}}
	sources := []string{template + ".yaml"}
	if template == customNode {
		spec = customDir + ".yaml"
		list = []written{
			{name: spec}, {name: customDir + ".go"}, {name: customDir + "_test.go"}, {name: filepath.Join("agent", "main.go")}, {name: "go.mod"},
		}
		sources = append(sources, "node.go.txt", "node_test.go.txt", "agent.go.txt", "go.mod.txt")
	}
	fill := strings.NewReplacer("{{schema}}", "yaml-language-server: $schema=./"+schema.PipelineSpec.FileName(), "{{file}}", spec)
	for i, source := range sources {
		text, err := templateFiles.ReadFile(templateDir + "/" + source)
		if err != nil {
			return nil, fmt.Errorf("read the template %s: %w", template, err)
		}
		list[i].text = []byte(fill.Replace(string(text)))
	}
	published, err := schema.Published(schema.PipelineSpec)
	if err != nil {
		return nil, err
	}
	return append(list, written{schema.PipelineSpec.FileName(), published}), nil
}

// initSpec writes a template, or nothing.
func initSpec(env *environment, template, dir string) error {
	list, err := templateOf(template)
	if err != nil {
		return err
	}
	refuse := func(err error) error { return &exitError{code: exitUsage, err: err} }
	list = slices.DeleteFunc(list, func(f written) bool { // templates in one folder share the schema
		if f.name != schema.PipelineSpec.FileName() {
			return false
		}
		there, err := os.ReadFile(filepath.Join(dir, f.name)) //nolint:gosec // of the user's own folder
		return err == nil && bytes.Equal(there, f.text)
	})
	for _, f := range list {
		path := filepath.Join(dir, f.name)
		switch _, err := os.Lstat(path); {
		case err == nil:
			return refuse(fmt.Errorf("%s is there already, and nothing was written: give another DIR, or move it away", path))
		case !errors.Is(err, fs.ErrNotExist):
			return refuse(fmt.Errorf("%s cannot be written: %w: give another DIR", path, err))
		}
	}
	for _, f := range list {
		path := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of sources
			return refuse(fmt.Errorf("%s cannot be made: %w: give another DIR", filepath.Dir(path), err))
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a source
		if err != nil {
			return refuse(fmt.Errorf("%s cannot be written: %w", path, err))
		}
		_, err = file.Write(f.text)
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		if _, err := fmt.Fprintln(env.stdout, path); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
	}
	return nil
}
