#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the guests that are written in C, and writes the checksums that the tests hold them to.
# It needs clang with its WebAssembly linker (Debian: clang lld).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

for guest in node/wasm/testdata/hostile examples/wasm/gate/gate internal/bench/guest/gain; do
	clang --target=wasm32 -mbulk-memory -O2 -nostdlib -fno-builtin-memcpy -Wl,--no-entry -Wl,--strip-all -I sdk/c -o "$guest.wasm" "$guest.c"
	chmod 644 "$guest.wasm"
done
sha256sum sdk/c/parley_node.h node/wasm/testdata/hostile.c node/wasm/testdata/hostile.wasm examples/wasm/gate/gate.c examples/wasm/gate/gate.wasm internal/bench/guest/gain.c internal/bench/guest/gain.wasm \
	>node/wasm/testdata/guests.sha256
