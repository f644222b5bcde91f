// SPDX-License-Identifier: Apache-2.0

package page

import (
	"embed"
	"io/fs"
	"strings"

	typescript "github.com/parley-voice/parley/clients/typescript"
)

//go:embed app
var app embed.FS

// Policy is the Content-Security-Policy that the page is to be served with. Sockets may lead
// elsewhere, because a session may be moved.
const Policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Permissions is the Permissions-Policy that goes with it.
const Permissions = "microphone=(self), speaker-selection=(self), autoplay=(self), camera=(), geolocation=()"

// Files gives the page: index.html, what it loads, and the client library below client/.
func Files() fs.FS {
	own, err := fs.Sub(app, "app")
	if err != nil {
		panic(err) // the name is right or the build fails
	}
	return files{own, typescript.Files()}
}

// files are the page's own and the client's.
type files struct{ own, client fs.FS }

// Open finds a file. Folders other than the root are none: their lists are nobody's concern.
func (f files) Open(name string) (fs.File, error) {
	if rest, ok := strings.CutPrefix(name, "client/"); ok {
		return f.client.Open(rest)
	}
	return f.own.Open(name)
}
