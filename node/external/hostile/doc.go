// SPDX-License-Identifier: Apache-2.0

// Package hostile is nodes that do what nodes must not do, each in one way, as programs of their
// own: an endless loop, too much memory, processes without end, a flood, garbage, silence. They show,
// on demand and for real, what becomes of such a node and of those beside it.
//
// They are bounded where the protection against them may fail: a bomb makes at most MaxProcesses
// processes and MaxMemoryMB megabytes, and everything that it starts ends by itself within Life.
package hostile
