/* SPDX-License-Identifier: Apache-2.0 */

/* What the case sandbox measures: a gain of one and a half on a frame, in a guest. */

#include "../../../sdk/c/parley_node.h"

PARLEY_INBOX(64 * 1024)

static const char declaration[] =
	"{\"node_type\":\"gain\",\"package\":\"bench\",\"version\":\"1\","
	"\"inputs\":[\"audio_chunk\"],\"outputs\":[\"audio_chunk\"],"
	"\"streaming\":\"incremental\",\"execution_scope\":\"session\",\"cancel_class\":\"preemptible\"}";

PARLEY_DECLARE { return PARLEY_TEXT_OF(declaration); }

static _Alignas(16) parley_u8 out[64 * 1024];

PARLEY_ON_EVENT {
	const parley_sample *in = parley_samples(event);
	parley_sample *pcm = (parley_sample *)(out + sizeof(parley_event));
	__builtin_memcpy(out, event, bytes);
	for (parley_u32 i = 0; i < event->samples; i++) {
		int v = in[i] * 3 / 2;
		pcm[i] = v > 32767 ? 32767 : v < -32768 ? -32768 : v;
	}
	parley_emit(out, bytes);
	return 0;
}
