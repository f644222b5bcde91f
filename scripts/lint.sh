#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs golangci-lint at the version that scripts/tools/go.mod pins, building it the first time:
# about a minute and a half on two cores, then from the cache, without network.
# The linter has its own module so that its two hundred dependencies are not ours.
# Arguments are golangci-lint's own; without any: run ./...
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
package=github.com/golangci/golangci-lint/v2
tools=$root/scripts/tools

version=$(awk -v p="$package" '$1 == p { print $2 }' "$tools/go.mod")
if [ -z "$version" ]; then
    echo "lint: scripts/tools/go.mod names no version of $package" >&2
    exit 2
fi

# Beside the speech engines in the user's cache, so that a second clone need not build it again.
if [ -n "${XDG_CACHE_HOME:-}" ]; then
    cache=$XDG_CACHE_HOME/parley/tools
elif [ -n "${HOME:-}" ]; then
    cache=$HOME/.cache/parley/tools
else
    cache=$root/.cache/tools
fi

# A linter built with an older Go cannot read a newer Go's sources: the toolchain is part of the name.
binary=$cache/golangci-lint-$version-$(go env GOVERSION)
if [ ! -x "$binary" ]; then
    echo "lint: building golangci-lint $version (once)"
    mkdir -p "$cache"
    partial=$binary.$$
    trap 'rm -f "$partial"' EXIT
    if ! (cd "$tools" && GOFLAGS=-mod=readonly CGO_ENABLED=0 GOOS='' GOARCH='' go build -buildvcs=false -trimpath -o "$partial" "$package/cmd/golangci-lint"); then
        echo "lint: golangci-lint $version could not be built; the first time it needs the Go module proxy (see go env GOPROXY)" >&2
        exit 1
    fi
    mv "$partial" "$binary"
fi

cd "$root"
if [ $# -eq 0 ]; then
    set -- run --allow-serial-runners ./...
fi
exec "$binary" "$@"
