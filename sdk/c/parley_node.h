/* SPDX-License-Identifier: Apache-2.0 */

/* A node for Parley's sandbox, written in C: include this header in one file, and define the
 * functions that are named below. docs/wasm-nodes.md is the reference of the interface.
 *
 *   clang --target=wasm32 -O2 -nostdlib -fno-builtin -Wl,--no-entry -I sdk/c -o node.wasm node.c
 *
 * There is no C library. An instance serves one turn or one session, in one memory, by one
 * call at a time. */

#ifndef PARLEY_NODE_H
#define PARLEY_NODE_H

#define PARLEY_ABI_VERSION 1

typedef signed short parley_sample;
typedef unsigned char parley_u8;
typedef unsigned short parley_u16;
typedef unsigned int parley_u32;
typedef long long parley_i64;
typedef unsigned long long parley_u64;

enum { PARLEY_AUDIO = 1, PARLEY_TEXT, PARLEY_CONTROL, PARLEY_METRICS, PARLEY_DEBUG, PARLEY_ERROR };
enum { PARLEY_AUDIO_RAW = 1, PARLEY_TEXT_RAW, PARLEY_PII, PARLEY_PHI, PARLEY_DERIVED_SUMMARY, PARLEY_METADATA };
enum { PARLEY_FINAL = 1, PARLEY_PROTECTED = 2, PARLEY_CANCELLED = 4, PARLEY_SYNC = 8 };
enum { PARLEY_STATE_TURN = 1, PARLEY_STATE_HOT, PARLEY_STATE_DURABLE };
enum { PARLEY_CONTINUE = 1, PARLEY_DEGRADE, PARLEY_FALLBACK, PARLEY_TERMINATE };

/* An event begins with this. Behind it lie, without gaps: samples, type, call, the three names
 * of the sync group, attributes, text. */
typedef struct {
	parley_u8 kind, payload_class;
	parley_u16 flags;
	parley_u32 samples;    /* their number, not their bytes */
	parley_u32 text_bytes;
	parley_u16 type_bytes, call_bytes;
	parley_i64 at, index, sample, heard;
	parley_u16 sync_id_bytes, sync_event_bytes, sync_group_bytes, attributes;
	parley_u32 bytes;      /* of the whole event */
	parley_u32 reserved;   /* 0 */
} parley_event;

_Static_assert(sizeof(parley_event) == 64, "an event's header has 64 bytes");

/* What the host offers. */
#define PARLEY_IMPORT(name) __attribute__((import_module("parley"), import_name(#name)))
PARLEY_IMPORT(emit) void parley_emit(const void *event, parley_u32 bytes);
PARLEY_IMPORT(now) parley_i64 parley_now(void);
PARLEY_IMPORT(rand) parley_u64 parley_rand(void);
PARLEY_IMPORT(count) void parley_count(const char *name, parley_u32 bytes, parley_i64 n);
PARLEY_IMPORT(wake) void parley_wake(parley_i64 at);
PARLEY_IMPORT(state_get) int parley_state_get(int state_class, const char *key, parley_u32 key_bytes, void *value, parley_u32 room);
PARLEY_IMPORT(state_put) int parley_state_put(int state_class, const char *key, parley_u32 key_bytes, const void *value, parley_u32 bytes);
PARLEY_IMPORT(conversation) int parley_conversation(char *json, parley_u32 room);
PARLEY_IMPORT(budget) parley_i64 parley_budget(void);
PARLEY_IMPORT(cancelled) int parley_cancelled(void);
PARLEY_IMPORT(log) void parley_log(const char *line, parley_u32 bytes);

/* What the node defines. Each but declare, alloc and on_event may be left out; the answer of a
 * hook is 0, or the instance has failed and its last line of the log says why. */
#define PARLEY_EXPORT(name) __attribute__((export_name(#name)))
#define PARLEY_DECLARE PARLEY_EXPORT(parley_declare) parley_u64 node_declare(const char *settings, parley_u32 bytes)
#define PARLEY_INIT PARLEY_EXPORT(parley_init) int node_init(const char *settings, parley_u32 bytes)
#define PARLEY_START PARLEY_EXPORT(parley_start) int node_start(void)
#define PARLEY_ON_EVENT PARLEY_EXPORT(parley_on_event) int node_on_event(const parley_event *event, parley_u32 bytes)
#define PARLEY_ON_CANCEL PARLEY_EXPORT(parley_on_cancel) int node_on_cancel(const parley_u8 *cancel, parley_u32 bytes)
#define PARLEY_ON_BARGE_IN PARLEY_EXPORT(parley_on_barge_in) int node_on_barge_in(void)
#define PARLEY_ON_BUDGET PARLEY_EXPORT(parley_on_budget) int node_on_budget(int outcome)
#define PARLEY_STOP PARLEY_EXPORT(parley_stop) int node_stop(void)

PARLEY_EXPORT(parley_abi_version) int parley_abi_version(void) { return PARLEY_ABI_VERSION; }

/* PARLEY_INBOX gives the node a fixed inbox; an event that is larger ends the instance. */
#define PARLEY_INBOX(room) \
	static _Alignas(16) parley_u8 parley_inbox[room]; \
	PARLEY_EXPORT(parley_alloc) void *parley_alloc(parley_u32 bytes) { return bytes <= (room) ? parley_inbox : 0; }

/* PARLEY_TEXT_OF is what node_declare answers: a JSON text in the memory. */
#define PARLEY_TEXT_OF(literal) ((parley_u64)(parley_u32)(literal) << 32 | (sizeof(literal) - 1))

static inline const parley_sample *parley_samples(const parley_event *e) { return (const parley_sample *)(e + 1); }
static inline const char *parley_type(const parley_event *e) { return (const char *)(e + 1) + 2 * e->samples; }
static inline const char *parley_text(const parley_event *e) { return (const char *)e + e->bytes - e->text_bytes; }

/* parley_is says whether an event has a type. */
static inline int parley_is(const parley_event *e, const char *type) {
	const char *is = parley_type(e);
	parley_u32 i = 0;
	for (; i < e->type_bytes && type[i]; i++)
		if (is[i] != type[i]) return 0;
	return i == e->type_bytes && !type[i];
}

#endif
