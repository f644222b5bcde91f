#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The kernel decides the same on every processor. This shows it for arm64: the scenario scripts and the tests of replay
# as arm64 programs, one digest over random conversations from both processors, and a call under pressure that was held
# and recorded here and is replayed there. On another processor than arm64 it needs qemu-user.

set -euo pipefail

parley=${1:?usage: arm64.sh PARLEY}
go=${GO:-go}
seeds=200

run=()
if [[ $(uname -m) != aarch64 && $(uname -m) != arm64 ]]; then
  run=("$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)")
  if [[ -z ${run[0]} ]]; then
    echo 'arm64: this machine needs an emulator for it: apt-get install qemu-user' >&2
    exit 1
  fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
there() { "${run[@]}" "$work/parley" "$@"; }

echo '==> building for arm64'
CGO_ENABLED=0 GOOS=linux GOARCH=arm64 "$go" build -trimpath -buildvcs=false -o "$work/parley" ./cmd/parley

echo '==> scenario scripts and properties of the kernel, and replay, as arm64 programs'
CGO_ENABLED=0 GOOS=linux GOARCH=arm64 "$go" test ${run[0]:+-exec "${run[0]}"} \
  ./internal/kernel/... ./internal/observability/replay

echo "==> simulation, $seeds seeds on both"
digest() { sed -n 's/.*"digest": *"\([0-9a-f]*\)".*/\1/p'; }
here_digest=$("$parley" sim --seeds "$seeds" --json | digest)
there_digest=$(there sim --seeds "$seeds" --json | digest)
echo "    here  $here_digest"
echo "    arm64 $there_digest"
if [[ -z $here_digest || $here_digest != "$there_digest" ]]; then
  echo 'arm64: the two decide differently' >&2
  exit 1
fi

echo '==> a call under pressure, held here and replayed on both'
"$parley" demo --fast --out "$work/call" \
  --set edges.llm-tts.max_queue_items=2 --set edges.text-client.max_queue_items=1 \
  --set edges.transport-stt.strategy=drop_oldest --set edges.transport-stt.max_queue_items=2 \
  >/dev/null 2>&1 || true # turns fail under it, by decision; that there is a recording, replay says
"$parley" replay "$work/call/recording.parley"
there replay "$work/call/recording.parley"
echo 'every decision is the same'
