#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Packs the engines that are set up here for a machine that cannot build them.
#
#   archive.sh [FILE]   (default: parley-engines-v1.tar.gz) writes FILE and FILE.sha256
#
# There: PARLEY_ENGINES_ARCHIVE=FILE make engines. The same engines give the same
# archive, byte for byte.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/engines/lib.sh
. "$here/lib.sh"

file=${1:-parley-engines-v$format.tar.gz}
[ -d "$installed" ] || die "no engines in $installed" 'run make engines first'
verify "$installed" || die "the engines in $installed are damaged" 'run make engines first'

same_bytes=()
if tar --version 2>/dev/null | grep -q 'GNU tar'; then
	same_bytes=(--owner=0 --group=0 --numeric-owner --mtime=@0 '--mode=u=rwX,go=rX')
fi
temporary=$file.partial.$$
trap 'rm -f "$temporary"' EXIT
say "packing $file"
{
	echo "v$format/manifest.json"
	manifest_files "$installed/manifest.json" | sed "s,^[0-9a-f]*  ,v$format/,"
} | tar -C "$root" ${same_bytes[@]+"${same_bytes[@]}"} -cf - -T - | gzip -n >"$temporary"
mv "$temporary" "$file"
digest=$(sha256 "$file")
printf '%s  %s\n' "${digest%% *}" "$(basename "$file")" >"$file.sha256"
say "$file, $(($(size_of "$file") / 1048576)) MB; take $file.sha256 along"
