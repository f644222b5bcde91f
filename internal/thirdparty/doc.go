// SPDX-License-Identifier: Apache-2.0

// Package thirdparty installs other people's clients for tests that run them, as they are
// published, at the versions that lock files name.
//
//	clients/thirdparty/NAME --> the user's cache, NAME-TOOL-HASH --> npm ci, pip install
//
// They are installed once for each state of a lock file. A machine that has no node, no
// python, no browser or no registry skips such a test with the reason, unless the variable
// Required says that it has to run. Several tests, of several processes, may install at once.
package thirdparty
