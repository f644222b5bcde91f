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
while IFS=: read -r file declaration; do
    name=${declaration#func }
    echo "==> $name in $(dirname "$file") for $duration"
    "$go" test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" "$(dirname "$file")"
done <<<"$targets"
