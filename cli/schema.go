// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/api/schema"
)

func newSchemaCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:     "schema [KIND]",
		GroupID: groupCheck,
		Short:   "Print the JSON Schema of a contract artifact or of a pipeline spec",
		Long: `Print the JSON Schema (draft 2020-12) of a kind of artifact, for tools that check
artifacts without Parley, or that of pipeline_spec, for editors that complete what authors
write. Without KIND, list the kinds with the $id of each schema.

The schema of artifact_bundle refers to the others by $id. What a schema cannot
express (a plan's hash, repeated keys, relations between values), validate and lint check.`,
		Example: `  parley schema
  parley schema control_signal > control_signal.schema.json`,
		Args:              atMostOne("name one KIND, or none for the list"),
		ValidArgsFunction: cobra.FixedCompletions(append(kindNames(), string(schema.PipelineSpec)), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, k := range schema.PublishedKinds() {
					if _, err := fmt.Fprintf(env.stdout, "%-20s %s\n", k, k.URN()); err != nil {
						return fmt.Errorf("write the output: %w", err)
					}
				}
				return nil
			}
			kind, ok := schema.ParseKind(args[0])
			if !ok {
				return usageErrorf("KIND is %q; run 'parley schema' for the kinds", args[0])
			}
			data, err := schema.Published(kind)
			if err != nil {
				return err
			}
			if _, err := env.stdout.Write(data); err != nil {
				return fmt.Errorf("write the output: %w", err)
			}
			return nil
		},
	}
}
