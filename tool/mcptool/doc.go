// SPDX-License-Identifier: Apache-2.0

// Package mcptool offers the tools of MCP servers (the Model Context Protocol) to a language
// model: a Server is one of them, with the tools that it has at the moment, each of which can
// be called. The wire is the maintained SDK's.
//
//	New --connect, list--> there --its list changes--> listed again
//	           ^             |
//	           +-- back-off -+-- the process ends, the connection breaks --> away
//
// # Rules
//
//  1. A server that is away is a tool that fails, never a session that does: New does not wait
//     for it, Tools is empty meanwhile, and a call fails with why.
//  2. A call is made once. Nothing here repeats one, since nobody knows what it has done. Its
//     idempotency key goes with it as _meta "parley.voice/idempotency_key".
//  3. A call ends with its context or with Config.Timeout, whichever is first; the server is told.
//  4. What a server says is bounded: tools, their descriptions and schemas, messages, output.
//     Output that is longer is cut, and says so.
//  5. A process gets PATH, HOME, TMPDIR, LANG, and of the environment what Config.Environment
//     names: nothing of the program's secrets. It ends with the connection.
//  6. A secret goes to the host of Config.URL and to no other.
//  7. A tool's name for the model is the server's name, an underscore, and its own name there,
//     with what a model may not write replaced. Two that become one have a number behind it.
package mcptool
