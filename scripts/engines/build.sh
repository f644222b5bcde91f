#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Sets up the offline speech engines and checks them by checksum. They are built
# once from pinned sources, or installed from an archive that archive.sh made on
# another machine; see docs/engines.md.
#
#   build.sh                    make sure they are there and whole
#   build.sh --archive [FILE]   the same, then archive.sh
#
#   PARLEY_ENGINES              where they go (default: parley/engines in the user's cache)
#   PARLEY_ENGINES_ARCHIVE      install from this file instead of building
set -Eeuo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/engines/lib.sh
. "$here/lib.sh"
# shellcheck source=scripts/engines/recipe.sh
. "$here/recipe.sh"

remedy=('or take an archive made on another machine by make engines-archive:' '  PARLEY_ENGINES_ARCHIVE=FILE make engines')
downloads=$root/downloads
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
started=$SECONDS
work=

clang_major() { clang -dumpversion | cut -d. -f1; }

recipe_digest() {
	(cd "$here" && sha256 recipe.sh sources.sha256 licences/* wasm/*.c wasm/include/*) | sha256 /dev/stdin | cut -d' ' -f1
}

clean_up() { [ -z "$work" ] || rm -rf "$work"; }

# lock keeps a second make from building beside this one.
lock() {
	mkdir -p "$root" || die "cannot make the folder $root" "say in PARLEY_ENGINES where the engines go"
	have flock || return 0
	exec 9>"$root/.lock"
	flock --nonblock 9 && return 0
	say "another run is setting the engines up in $root; waiting for it"
	flock 9
}

# installed_is_good says whether there is nothing to do: whole, and made by this
# recipe. It sets why when they are damaged, and outdated when only the recipe differs.
installed_is_good() {
	why="" outdated=""
	[ -d "$installed" ] || return 1
	why=$(verify "$installed" 2>&1) || return 1
	[ "$(manifest_field "$installed/manifest.json" recipe)" = "$recipe" ] || { outdated=yes; return 1; }
}

install_archive() {
	local archive=$1 digest want
	[ -f "$archive" ] || die "PARLEY_ENGINES_ARCHIVE=$archive: no such file" 'make one by make engines-archive where the engines are set up'
	[ -f "$archive.sha256" ] || die "PARLEY_ENGINES_ARCHIVE=$archive: its checksum $archive.sha256 is missing" 'copy it along with the archive'
	say "checking $archive"
	digest=$(sha256 "$archive") want=$(cut -d' ' -f1 "$archive.sha256")
	[ "${digest%% *}" = "$want" ] || die "$archive is damaged: its SHA-256 is ${digest%% *}" \
		"$archive.sha256 says $want" 'copy both files again'
	mkdir "$work/out"
	tar -xzf "$archive" -C "$work/out" --strip-components 1 || die "$archive cannot be unpacked"
	replace "$work/out"
}

# missing_tools names the Debian packages that are not there yet.
missing_tools() {
	local missing=()
	have clang || missing+=(clang)
	have wasm-ld || missing+=(lld)
	[ -f /usr/lib/wasm32-wasi/crt1-reactor.o ] || missing+=(wasi-libc)
	if have clang; then
		[ -f "$(clang -print-resource-dir)/lib/wasi/libclang_rt.builtins-wasm32.a" ] || missing+=("libclang-rt-$(clang_major)-dev-wasm32")
	else
		missing+=("$(runtime_package)")
	fi
	have tar || missing+=(tar)
	echo "${missing[*]-}"
}

# runtime_package is the clang run-time library for the clang that apt would install.
runtime_package() {
	local major
	major=$(apt-cache depends clang 2>/dev/null | sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
	echo "libclang-rt-${major:-14}-dev-wasm32"
}

get_tools() {
	local missing
	missing=$(missing_tools)
	[ -n "$missing" ] || return 0
	have apt-get || die "to build the engines these Debian packages are needed, and this machine has no apt-get:" \
		"$missing" "${remedy[@]}"
	[ "$(id -u)" = 0 ] || die 'to build the engines install these packages, then try again:' \
		"sudo apt-get install --no-install-recommends $missing" "${remedy[@]}"
	if ! apt-cache show clang >/dev/null 2>&1; then
		say 'apt-get update'
		quietly apt-get -q update
		missing=$(missing_tools)
	fi
	say "apt-get install $missing"
	# shellcheck disable=SC2086 # package names are words
	DEBIAN_FRONTEND=noninteractive quietly apt-get -q -y install --no-install-recommends $missing
	missing=$(missing_tools)
	[ -z "$missing" ] || die "apt-get installed no usable $missing" "${remedy[@]}"
}

# quietly runs a command and shows its last lines only if it fails.
quietly() {
	"$@" >"$work/log" 2>&1 </dev/null || {
		tail -n 15 "$work/log" >&2
		die "this command failed: $*" "${remedy[@]}"
	}
}

pinned() { sed -n "s/^[0-9a-f]*  \($1.*\)\$/\1/p" "$here/sources.sha256"; }
is_pinned() { (cd "$downloads" && grep -F "  $1" "$here/sources.sha256" | check_sha256) >/dev/null 2>&1; }

# private_apt runs apt-get on a source list of its own: the machine's list, read
# as sources of packages. Nothing of the machine's apt is changed.
private_apt() {
	local sandbox=()
	[ "$(id -u)" != 0 ] || sandbox=(-o APT::Sandbox::User=root)
	apt-get -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/apt/sources.list.d" \
		-o "Dir::State::lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" \
		-o APT::Get::List-Cleanup=0 ${sandbox[@]+"${sandbox[@]}"} "$@"
}

prepare_private_apt() {
	local list
	[ ! -d "$work/apt" ] || return 0
	mkdir -p "$work/apt/sources.list.d" "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
	for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -f "$list" ] || sed -n 's/^deb\(-src\)\{0,1\}[ \t]/deb-src /p' "$list" | sort -u >"$work/apt/sources.list.d/$(basename "$list" .list).list"
	done
	for list in /etc/apt/sources.list.d/*.sources; do
		[ ! -f "$list" ] || sed 's/^Types:.*/Types: deb-src/' "$list" >"$work/apt/sources.list.d/$(basename "$list")"
	done
	say 'reading the list of source packages'
	# A third party's list without sources is no fault as long as Debian's is read.
	private_apt update >"$work/log" 2>&1 </dev/null || true
}

get_source() {
	local file
	file=$(pinned "$1")
	! is_pinned "$file" || return 0
	have apt-get || die "the source package $1 comes from Debian, and this machine has no apt-get" \
		"put $file into $downloads," "${remedy[@]}"
	prepare_private_apt
	say "downloading the source of $1"
	(cd "$downloads" && private_apt source --download-only --tar-only "$1") >"$work/log" 2>&1 </dev/null || true
	is_pinned "$file" && return 0
	sed -n '/^[EW]:/p' "$work/log" | tail -n 5 >&2
	die "apt-get did not bring $file with the pinned checksum" \
		"the engines are made from exactly this file, of Debian 12; put it into $downloads," "${remedy[@]}"
}

get_weights() {
	local file=ricky0123-vad-web-0.0.31.tgz
	! is_pinned "$file" || return 0
	have npm || die "the weights of Silero VAD come in an npm package, and this machine has no npm" \
		'apt-get install npm brings it,' "or put $file into $downloads," "${remedy[@]}"
	say 'downloading the weights of Silero VAD'
	quietly npm pack --silent --ignore-scripts --pack-destination "$downloads" @ricky0123/vad-web@0.0.31
	is_pinned "$file" || die "npm did not bring $file with the pinned checksum" "${remedy[@]}"
}

build() {
	get_tools
	mkdir -p "$downloads"
	get_source pocketsphinx
	get_source sphinxbase
	get_source flite
	get_source opus
	get_weights
	cd "$work"
	say 'unpacking'
	unpack "$downloads"
	cp -R "$here/wasm" .
	compile sphinx out/pocketsphinx.wasm
	compile flite out/flite_slt.wasm
	compile opus out/opus.wasm
	chmod 644 out/*.wasm
	write_manifest out "$recipe" "$(clang --version | head -n 1)"
	cd "$root"
	replace "$work/out"
}

# build_or_keep is for engines that are whole but of another recipe: better
# those than none, where they cannot be built again.
build_or_keep() {
	local status
	if [ -n "$(missing_tools)" ] && ! { have apt-get && [ "$(id -u)" = 0 ]; }; then
		say 'made by another recipe than this one, and kept: there is no compiler to build them again'
		return
	fi
	say 'made by another recipe than this one; building again'
	set +e # "if (build)" would switch set -e off inside it
	(set -e && build)
	status=$?
	set -e
	[ "$status" = 0 ] || say 'keeping the ones that are there: they are whole, and of the same format'
}

main() {
	local why outdated
	recipe=$(recipe_digest)
	if [ -z "${PARLEY_ENGINES_ARCHIVE:-}" ] && installed_is_good; then
		say "ready in $installed"
		return
	fi
	lock
	work=$(mktemp -d "$root/.work.XXXXXX") || die "cannot write to $root" 'say in PARLEY_ENGINES where the engines go'
	trap clean_up EXIT
	trap 'exit 130' INT TERM
	trap 'echo "engines: this did not work, and nothing was changed; $root needs 250 MB of free disk" >&2' ERR
	if [ -n "${PARLEY_ENGINES_ARCHIVE:-}" ]; then
		install_archive "$PARLEY_ENGINES_ARCHIVE"
	elif installed_is_good; then # by the run that held the lock
		:
	elif [ -n "$outdated" ]; then
		build_or_keep
	else
		[ -z "$why" ] || { say "$installed is damaged and will be replaced:" && printf '    %s\n' "$why"; }
		build
	fi
	say "ready in $installed, after $((SECONDS - started)) s"
}

main
if [ "${1:-}" = --archive ]; then
	shift
	"$here/archive.sh" "$@"
fi
