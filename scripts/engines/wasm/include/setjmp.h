// SPDX-License-Identifier: Apache-2.0
//
// WebAssembly has no stack unwinding that clang 14 can target, so there is no
// non-local jump. The two libraries use it only to give up after a fatal
// error. Here such an error ends the instance instead: the host sees a trap,
// throws the instance away and makes another (docs/engines.md, "Fatal errors").
#ifndef PARLEY_SETJMP_H
#define PARLEY_SETJMP_H

typedef int jmp_buf[1];

#define setjmp(env) ((void)(env), 0)
#define longjmp(env, value) __builtin_trap()

#endif
