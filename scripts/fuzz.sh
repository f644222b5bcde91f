#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz target for a while: scripts/fuzz.sh [DURATION].
# An input that breaks something lands in that package's testdata/fuzz; commit it with the repair.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
duration=${1:-10s}
go=${GO:-go}

targets=$(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sort || true)
if [ -z "$targets" ]; then
    echo "fuzz: there is no fuzz target" >&2
    exit 1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Go 1.26 now and then reports the end of the time itself as a failure, with nothing but
# "context deadline exceeded" and no input (golang/go#75804). Such a run is repeated; a
# failure that names an input, or anything else, is final.
fuzz() {
    local name=$1 package=$2
    for _ in 1 2 3; do
        if "$go" test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" "$package" 2>&1 </dev/null | tee "$log"; then
            return 0
        fi
        if grep -qE 'Failing input|panic:' "$log" || ! grep -qx ' *context deadline exceeded' "$log"; then
            return 1
        fi
        echo "==> $name: the time ran out under a call; again"
    done
    return 1
}

while IFS=: read -r file declaration; do
    name=${declaration#func }
    echo "==> $name in $(dirname "$file") for $duration"
    fuzz "$name" "$(dirname "$file")"
done <<<"$targets"
