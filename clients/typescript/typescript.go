// SPDX-License-Identifier: Apache-2.0

// Package typescript holds the client for browsers and Node, as modules that a page loads
// without a build step. Its sources are in src, what tsc makes of them in dist; the test
// shows that they belong together, and runs the client against a real server.
package typescript

import (
	"embed"
	"io/fs"
)

//go:embed dist/*.js
var dist embed.FS

// Files are the modules: index.js, browser.js and what they import. An AudioWorklet loads
// playback.js.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is right or the build fails
	}
	return files
}
