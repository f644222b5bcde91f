// SPDX-License-Identifier: Apache-2.0

// Package engines finds the offline speech engines on this machine and checks that
// they are whole. It neither builds nor downloads anything: that is done by
// scripts/engines/build.sh, which make engines runs, and docs/engines.md describes.
//
// A set of engines is a folder named after its format ("v1") with a manifest.json that
// lists every file with its size and SHA-256.
//
//  1. A set that Find returned had its manifest read and every file there at its size.
//  2. A set that Verify passed has, besides, the bytes that its manifest promises.
//  3. Nothing here repairs or replaces a file. Each error names the place and the remedy.
package engines
