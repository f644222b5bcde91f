// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// versionReport is the document of version --json.
type versionReport struct {
	Version  string `json:"version"`
	Schema   string `json:"schema_version"`
	Profile  string `json:"execution_profile"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersionCommand(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: groupSetup,
		Short:   "Print the versions of this build and of its contract",
		Args:    exactly(0, "say what to print by flags"),
		RunE: func(*cobra.Command, []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				info = &debug.BuildInfo{}
			}
			r := versionReport{
				Version: buildVersion(version, info), Schema: eventabi.SchemaVersion, Profile: controlplane.ProfileSimple,
				Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
			}
			if asJSON {
				return writeJSON(env.stdout, r)
			}
			_, err := fmt.Fprintf(env.stdout, "parley %s\nschema %s, profile %s\n%s, %s\n", r.Version, r.Schema, r.Profile, r.Go, r.Platform)
			if err != nil {
				return fmt.Errorf("write the output: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON document for tools")
	return cmd
}

// buildVersion is the version that the build was given, else the module's, else the
// revision that the go command recorded.
func buildVersion(given string, info *debug.BuildInfo) string {
	if given != "" {
		return given
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if revision == "" {
		return "unknown"
	}
	return revision + dirty
}
