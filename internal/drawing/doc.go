// SPDX-License-Identifier: Apache-2.0

// Package drawing writes graphs as pictures: SVG by a layered layout of its own, and Mermaid,
// DOT and plain text for those who draw by themselves. It knows nothing of what the graphs
// are of.
//
// Invariants:
//
//  1. Equal graphs give equal bytes.
//  2. Every node and every edge of a graph is in its picture, once.
//  3. No text of a graph can leave its place: each format quotes what it is given.
package drawing
