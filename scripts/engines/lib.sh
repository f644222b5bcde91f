# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # set here, used there
#
# What build.sh and archive.sh share. Sourced, never run.

format=1 # of the folder and its manifest; internal/engines knows the same number

root=${PARLEY_ENGINES:-${XDG_CACHE_HOME:-${HOME:?HOME is not set: say where the engines go in PARLEY_ENGINES}/.cache}/parley/engines}
case $root in /*) ;; *) root=$PWD/$root ;; esac
installed=$root/v$format

say() { printf '==> engines: %s\n' "$*"; }
die() {
	printf 'engines: %s\n' "$1" >&2
	shift
	for line in "$@"; do printf '  %s\n' "$line" >&2; done
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# sha256 prints "digest  name" for each file, as sha256sum does.
sha256() { if have sha256sum; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

# check_sha256 reads such lines and fails when a file differs; it names the file.
check_sha256() { if have sha256sum; then sha256sum --check --quiet; else shasum -a 256 --check --quiet; fi; }

size_of() { wc -c <"$1" | tr -d ' '; }

# manifest_field FILE NAME prints a top-level field. The manifest is written by
# write_manifest below, one entry a line, so that no JSON tool is needed here.
manifest_field() { sed -n "s/^  \"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$1" | head -n 1; }

manifest_files() { sed -n 's/^    {"path": "\([^"]*\)", "size": [0-9]*, "sha256": "\([0-9a-f]\{64\}\)"}.*$/\2  \1/p' "$1"; }

# required_files lists what a folder of this format must hold.
required_files() {
	printf '%s\n' pocketsphinx.wasm flite_slt.wasm silero_vad_v6.onnx \
		en-us/en-us/mdef en-us/en-us.lm.bin en-us/cmudict-en-us.dict
}

# verify FOLDER succeeds when the folder is whole; what is wrong goes to stderr.
verify() {
	local manifest=$1/manifest.json listed name
	[ -f "$manifest" ] || { echo "no manifest.json in $1" >&2; return 1; }
	[ "$(manifest_field "$manifest" format)" = "$format" ] || {
		echo "$manifest is of format $(manifest_field "$manifest" format), wanted $format" >&2
		return 1
	}
	listed=$(manifest_files "$manifest")
	for name in $(required_files); do
		case $listed in *"  $name"*) ;; *) echo "$manifest does not list $name" >&2; return 1 ;; esac
	done
	(cd "$1" && printf '%s\n' "$listed" | check_sha256)
}

# replace FOLDER moves a whole, verified folder to where the engines are looked
# for. It is the last step of every way to set them up: what has the final name
# is whole.
replace() {
	local old=$root/.old.$$
	verify "$1" || die "the new engines do not pass their own check; nothing was changed"
	rm -rf "$old"
	if [ -e "$installed" ]; then mv "$installed" "$old"; fi
	mv "$1" "$installed"
	rm -rf "$old"
}
