# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2010,SC2034,SC2154 # plain names; set here, used there
#
# What the engines are made of and how: everything here decides the bytes that
# come out, and a change of it makes build.sh build again. Sourced by build.sh.

# Flags for all libraries. Paths are relative to the work folder, so that the
# same sources and the same compiler give the same bytes anywhere.
cflags='--target=wasm32-wasi --sysroot=/usr -isystem /usr/include/wasm32-wasi -O3 -DNDEBUG -w -Iwasm/include -D_WASI_EMULATED_SIGNAL'
ldflags='--target=wasm32-wasi --sysroot=/usr -O3 -mexec-model=reactor -Wl,-z,stack-size=1048576 -lwasi-emulated-signal'

sphinx_flags='-DHAVE_CONFIG_H -D_GNU_SOURCE -D_WASI_EMULATED_PROCESS_CLOCKS -D_WASI_EMULATED_GETPID
	-Isphinxbase/include/sphinxbase -Isphinxbase/include -Ipocketsphinx/include -Ipocketsphinx/src/libpocketsphinx
	-Isphinxbase/src/libsphinxbase/feat -Isphinxbase/src/libsphinxbase/lm -Isphinxbase/src/libsphinxbase/fe'
# The model takes 85 MB and a long utterance some more; an instance that wants
# past the maximum fails alone (docs/engines.md, "Memory").
sphinx_ldflags='-Wl,--max-memory=167772160 -lwasi-emulated-process-clocks -lwasi-emulated-getpid'
sphinx_sources() {
	# Without threads, LAPACK (for training only) and mmap (ours is wasm/mmio.c).
	printf '%s\n' wasm/pocketsphinx.c wasm/mmio.c
	ls sphinxbase/src/libsphinxbase/*/*.c pocketsphinx/src/libpocketsphinx/*.c |
		grep -vE '/(sbthread|blas_lite|slapack_lite|f2c_lite|slamch|mmio)\.c$'
}

flite_flags='-DCST_NO_SOCKETS -DCST_AUDIO_NONE -D_WASI_EMULATED_MMAN
	-Iflite/include -Iflite/lang/usenglish -Iflite/lang/cmulex -Iflite/lang/cmu_us_slt -Iflite/src/cg'
# The longest sentence takes 70 MB, if every letter of it is spelled.
flite_ldflags='-Wl,--max-memory=134217728 -lwasi-emulated-mman'
flite_sources() {
	# Without sockets, other systems' files, and tables that other files include.
	printf '%s\n' wasm/flite.c flite/src/audio/au_none.c flite/src/audio/au_streaming.c flite/src/audio/audio.c
	ls flite/src/{cg,hrg,lexicon,regex,speech,stats,synth,utils,wavesynth}/*.c \
		flite/lang/{usenglish,cmulex,cmu_us_slt}/*.c |
		grep -vE '_(palmos|wince|win32|posix)\.c$|/cst_socket\.c$|/cmu_lex_(data_raw|num_bytes|(entries|phones)_huff_table)\.c$'
}

opus_flags='-DOPUS_BUILD -DVAR_ARRAYS -DFLOAT_APPROX -DHAVE_LRINT -DHAVE_LRINTF -DPACKAGE_VERSION="1.3.1"
	-Iopus/include -Iopus/src -Iopus/celt -Iopus/silk -Iopus/silk/float'
# One stream takes 0.4 MB. The stack comes first, so that one that is too small ends the
# instance and does not write over its data.
opus_ldflags='-Wl,--max-memory=1048576 -Wl,-z,stack-size=262144 -Wl,--stack-first'
opus_sources() {
	# In floating point; of the decoder only what the encoder asks of a packet is linked.
	printf '%s\n' wasm/opus.c
	ls opus/celt/*.c opus/silk/*.c opus/silk/float/*.c \
		opus/src/{analysis,mlp,mlp_data,opus,opus_decoder,opus_encoder,repacketizer}.c |
		grep -v '/opus_custom_demo\.c$'
}

# compile NAME OUTPUT compiles in the work folder, on every core.
compile() {
	local flags=${1}_flags more_ldflags=${1}_ldflags sources
	sources=$("${1}_sources")
	say "compiling $(basename "$2") from $(printf '%s\n' "$sources" | wc -l | tr -d ' ') files"
	mkdir -p "obj/$1"
	# shellcheck disable=SC2016 # the shell that xargs starts expands these
	printf '%s\n' "$sources" | PARLEY_CFLAGS="$cflags ${!flags}" PARLEY_OBJ="obj/$1" xargs -P "$cores" -n 1 \
		sh -c 'exec clang $PARLEY_CFLAGS -c "$0" -o "$PARLEY_OBJ/$(printf %s "$0" | tr / _).o"' ||
		die "clang did not compile $(basename "$2"); its messages are above"
	# shellcheck disable=SC2086 # flags are words
	clang $ldflags "obj/$1"/*.o -o "$2" ${!more_ldflags} ||
		die "clang did not link $(basename "$2"); its messages are above"
}

# unpack takes what is needed out of the downloads, into the work folder.
unpack() {
	local model=pocketsphinx-5prealpha/model/en-us
	mkdir -p src out/en-us out/LICENSES
	tar -xzf "$1/pocketsphinx_0.8+5prealpha+1.orig.tar.gz" -C src \
		pocketsphinx-5prealpha/include pocketsphinx-5prealpha/src/libpocketsphinx pocketsphinx-5prealpha/LICENSE "$model"
	tar -xzf "$1/sphinxbase_0.8+5prealpha+1.orig.tar.gz" -C src
	tar -xzf "$1/flite_2.2.orig.tar.gz" -C src flite-2.2/include flite-2.2/src flite-2.2/lang flite-2.2/COPYING
	tar -xzf "$1/opus_1.3.1.orig.tar.gz" -C src opus-1.3.1/include opus-1.3.1/src opus-1.3.1/celt opus-1.3.1/silk opus-1.3.1/COPYING
	tar -xzf "$1/ricky0123-vad-web-0.0.31.tgz" -C src package/dist/silero_vad_v6.onnx
	ln -s src/pocketsphinx-5prealpha pocketsphinx
	ln -s src/sphinxbase-5prealpha sphinxbase
	ln -s src/flite-2.2 flite
	ln -s src/opus-1.3.1 opus
	mv "src/$model/en-us" "src/$model/en-us.lm.bin" "src/$model/cmudict-en-us.dict" out/en-us/
	mv src/package/dist/silero_vad_v6.onnx out/
	cp pocketsphinx/LICENSE out/LICENSES/pocketsphinx.txt
	cp sphinxbase/LICENSE out/LICENSES/sphinxbase.txt
	cp flite/COPYING out/LICENSES/flite.txt
	cp opus/COPYING out/LICENSES/opus.txt
	cp out/en-us/en-us/README out/LICENSES/en-us.txt
	cp "$here/licences/silero-vad.txt" out/LICENSES/
	# The C library and the compiler's run-time library are linked into all engines.
	cp /usr/share/doc/wasi-libc/copyright out/LICENSES/wasi-libc.txt
	cp "/usr/share/doc/libclang-rt-$(clang_major)-dev-wasm32/copyright" out/LICENSES/compiler-rt.txt
	find out -type f -exec chmod 644 {} +
}

# write_manifest FOLDER RECIPE TOOLCHAIN lists every file of the folder in it.
write_manifest() {
	local name digest comma=
	{
		printf '{\n  "format": %s,\n  "recipe": "%s",\n  "toolchain": "%s",\n  "sources": [\n' "$format" "$2" "$3"
		while read -r digest name; do
			printf '%s    {"file": "%s", "sha256": "%s", %s}' "$comma" "$name" "$digest" "$(about "$name")"
			comma=$',\n'
		done <"$here/sources.sha256"
		printf '\n  ],\n  "files": [\n'
		comma=
		while read -r name; do
			digest=$(sha256 "$1/$name")
			printf '%s    {"path": "%s", "size": %s, "sha256": "%s"}' "$comma" "$name" "$(size_of "$1/$name")" "${digest%% *}"
			comma=$',\n'
		done < <(cd "$1" && find . -type f | sed 's,^\./,,' | LC_ALL=C sort)
		printf '\n  ]\n}\n'
	} >manifest.json
	mv manifest.json "$1/manifest.json"
}

about() {
	case $1 in
	pocketsphinx_*) echo '"from": "Debian source package pocketsphinx", "licence": "BSD-2-Clause", "gives": "recogniser, acoustic model, language model, dictionary"' ;;
	sphinxbase_*) echo '"from": "Debian source package sphinxbase", "licence": "BSD-2-Clause", "gives": "recogniser"' ;;
	opus_*) echo '"from": "Debian source package opus", "licence": "BSD-3-Clause", "gives": "encoder of Opus"' ;;
	flite_*) echo '"from": "Debian source package flite", "licence": "CMU (BSD-like)", "gives": "synthesiser with voice slt"' ;;
	*) echo '"from": "npm package @ricky0123/vad-web 0.0.31", "licence": "MIT", "gives": "weights of Silero VAD v6"' ;;
	esac
}
