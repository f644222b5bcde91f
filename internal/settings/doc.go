// SPDX-License-Identifier: Apache-2.0

// Package settings fills a program's configuration from its layers and says where each
// value came from.
//
//	default < file (YAML) < environment < flag
//
// A configuration is a struct with a tag for each field; the values that it holds are the
// defaults. The tags are the only description there is: of them come the reader, the
// faults, what parley config print shows, and the table of the manual.
//
//	Listen string `set:"listen" doc:"address and port"`
//	Auth   struct { Mode string `set:"mode" doc:"who may come in" enum:"development,token"` } `set:"auth"`
//
// A slice of structs is a table: a list of sections, which a variable or a flag gives as YAML.
//
// # Rules
//
//  1. Of each field the highest layer that gives it stands; a list is replaced whole.
//  2. A name that is no field's is refused, with the nearest that is.
//  3. Faults are told all at once, each with its file and line, variable or flag, its field,
//     value and remedy.
//  4. A secret is never written down: its field holds a reference, env://NAME or
//     file://PATH, and what is no reference is refused without being shown.
//  5. An empty variable is one that is not set: environments are full of them.
package settings
