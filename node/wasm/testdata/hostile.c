/* SPDX-License-Identifier: Apache-2.0 */

/* A node that breaks out where it can: the first letter of an event's text says how. */

#include "../../../sdk/c/parley_node.h"

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
WASI(random_get) int random_get(void *at, parley_u32 bytes);
WASI(path_open) int path_open(int dir, int look, const char *path, parley_u32 bytes, int how, parley_u64 rights, parley_u64 more, int flags, int *fd);
WASI(clock_time_get) int clock_time_get(int id, parley_u64 precision, parley_u64 *time);
WASI(proc_exit) void proc_exit(int code);

PARLEY_INBOX(256 * 1024)

static const char declaration[] =
	"{\"node_type\":\"hostile\",\"package\":\"example.com/hostile\",\"version\":\"1.0.0\","
	"\"inputs\":[\"text_delta\"],\"outputs\":[\"text_delta\"],"
	"\"streaming\":\"both\",\"execution_scope\":\"turn\",\"cancel_class\":\"cooperative\"}";

/* The version that another module would have; a test swaps the two names. */
PARLEY_EXPORT(parlez_abi_version) int other_version(void) { return 2; }

/* node_declare answers with what the settings hold in quotes after "declare":, if they do. */
PARLEY_DECLARE {
	static const char key[] = "{\"settings\":{\"declare\":";
	parley_u32 n = sizeof(key) - 1;
	if (bytes <= n + 2) return PARLEY_TEXT_OF(declaration);
	for (parley_u32 i = 0; i < n; i++)
		if (settings[i] != key[i]) return PARLEY_TEXT_OF(declaration);
	if (settings[n] == '1') return ~0ull;                 /* a pointer to nowhere */
	if (settings[n] == '2') return 0;                     /* no node */
	if (settings[n] == '3') for (;;) parley_now();        /* never */
	return (parley_u64)(parley_u32)(settings + n) << 32 | (bytes - n - 2);
}

static parley_u8 out[1 << 20];

static void say(const parley_event *like, const char *type, const char *text, parley_u32 n) {
	parley_event *e = (parley_event *)out;
	*e = *like;
	parley_u8 *p = (parley_u8 *)(e + 1);
	e->samples = 0, e->flags = 0, e->call_bytes = 0, e->attributes = 0, e->type_bytes = 0;
	while (*type) *p++ = *type++, e->type_bytes++;
	for (parley_u32 i = 0; i < n; i++) *p++ = text[i];
	e->text_bytes = n;
	e->bytes = p - out;
	parley_emit(e, e->bytes);
}

static void number(const parley_event *like, parley_u64 n) {
	char digits[20];
	int i = 20;
	do digits[--i] = '0' + n % 10; while (n /= 10);
	say(like, "text_delta", digits + i, 20 - i);
}

static volatile int sink, seen;

__attribute__((noinline)) static int deep(int n) { return sink ? n : deep(n + 1) + sink + 1; }

typedef int (*step)(int);
static volatile step next;
__attribute__((noinline)) static int winding(int n) { return next(n + 1) + 1; }

PARLEY_ON_EVENT {
	const char *text = parley_text(event);
	parley_u64 time;
	int fd;
	switch (event->text_bytes ? text[0] : 0) {
	case 'a': /* is quiet and says something */
		say(event, "text_delta", text, event->text_bytes);
		return 0;
	case 'b': /* keeps the machine busy with few instructions */
		if (__builtin_wasm_memory_grow(0, 300) == (parley_u32)-1) return 1;
		for (;;) {
			__builtin_memset((void *)(1 << 20), sink, 16 << 20);
			__asm__ volatile("" ::: "memory");
		}
	case 'c': { /* waits for time to pass */
		parley_i64 now = parley_now();
		while (parley_now() == now) {}
		return 0;
	}
	case 'C':
		clock_time_get(0, 1, &time);
		number(event, time);
		return 0;
	case 'd': deep(0); return 0;
	case 'D': next = winding; winding(0); return 0;
	case 'e': say(event, "text_delta", "x", 1); __builtin_trap();
	case 'f': for (;;) say(event, "text_delta", "x", 1);
	case 'F': for (;;) say(event, "text_delta", (char *)out + 4096, 500000);
	case 'g': parley_emit((void *)0xfffffff0, 1000); return 0;
	case 'G': parley_emit(out, 1000); return 0;
	case 'k': return parley_state_put(PARLEY_STATE_TURN, (char *)out, 5000, out, 1);
	case 'l': for (;;) sink++;
	case 'L': for (;;) __asm__ volatile("");
	case 'm': {
		int pages = 0;
		while (__builtin_wasm_memory_grow(0, 1) != (parley_u32)-1) pages++;
		number(event, __builtin_wasm_memory_size(0));
		return 0;
	}
	case 'n': for (char name = 'a';; name++) parley_count(name > 'z' ? &"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[name % 32] : &name, name > 'z' ? name % 32 : 1, 1);
	case 'o': number(event, path_open(3, 0, "etc/passwd", 10, 0, 2, 0, 0, &fd)); return 0;
	case 'p': random_get((void *)0xfffffff0, 1000); sink = *(volatile int *)0xfffffff0; return 0;
	case 'r': for (;;) random_get(out, sizeof(out));
	case 's': parley_log("i will not", 10); return 1;
	case 't': __builtin_trap();
	case 'u': say(event, "audio_chunk", "x", 1); return 0;
	case 'v': number(event, ++seen); return 0;
	case 'x': proc_exit(0); return 0;
	}
	return 0;
}

PARLEY_ON_CANCEL {
	if (bytes && seen == 2) for (;;) sink++;
	return 0;
}
