// SPDX-License-Identifier: Apache-2.0

// Package mcptooltest is an MCP server for tests: a process of its own, which is the test's
// binary begun anew, and whose tools book, hang, flood, fail, crash and change. A package that
// uses it calls Serve first in its TestMain.
package mcptooltest
