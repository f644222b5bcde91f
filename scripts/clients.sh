#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Sets up what other people's clients run in: Chromium, and sipp as a telephone that knows nothing of us. The clients
# themselves, pinned, are installed by the tests. Where something cannot be had, it says so: the tests that need it are
# left out then, unless PARLEY_CLIENTS=required.
set -euo pipefail

say() { printf '    clients: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

missing=()
have chromium || have chromium-browser || have google-chrome || have google-chrome-stable || missing+=(chromium)
have sipp || missing+=(sip-tester)
have node || missing+=(nodejs)
have npm || missing+=(npm)
if ! have python3 || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then missing+=(python3-venv); fi
if [ ${#missing[@]} -eq 0 ]; then
	say 'everything is here'
	exit 0
fi
if ! have apt-get || [ "$(id -u)" != 0 ]; then
	say "not here, and only root can install it with apt: ${missing[*]}"
	say "sudo apt-get install --no-install-recommends ${missing[*]}"
	exit 0
fi
say "apt-get install ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
if ! apt-get -q -y install --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
	say 'apt-get update'
	apt-get -q update >/dev/null 2>&1 || true
	for package in "${missing[@]}"; do
		apt-get -q -y install --no-install-recommends "$package" >/dev/null 2>&1 || say "apt has no $package that could be installed"
	done
fi
say 'ready'
