// SPDX-License-Identifier: Apache-2.0

package cli

import "github.com/spf13/cobra"

// commands lists every command of parley, in the order of the help. A command lives in
// a file of its name; adding one is adding its line here.
func commands(env *environment) []*cobra.Command {
	return []*cobra.Command{
		newDemoCommand(env),
		newTalkCommand(env),
		newServeCommand(env),
		newRunCommand(env),
		newReplayCommand(env),
		newSimCommand(env),
		newBenchCommand(env),
		newLoadCommand(env),
		newNodesCommand(env),
		newLintCommand(env),
		newResolveCommand(env),
		newGraphCommand(env),
		newValidateCommand(env),
		newSchemaCommand(env),
		newInitCommand(env),
		newDocsCommand(env),
		newConfigCommand(env),
		newTokenCommand(env),
		newLiveKitCommand(env),
		newVersionCommand(env),
	}
}
