/* SPDX-License-Identifier: Apache-2.0 */

/* A noise gate for the sandbox: caller audio that is quiet becomes silent. The gate opens at
 * once and closes when all of the frame was quiet for HOLD frames. */

#include "parley_node.h"

#define QUIET 400 /* of 32768 */
#define HOLD 10   /* frames of 20 ms */

PARLEY_INBOX(64 * 1024)

static const char declaration[] =
	"{\"node_type\":\"noise_gate\",\"package\":\"example.com/gate\",\"version\":\"1.0.0\","
	"\"inputs\":[\"audio_chunk\"],\"outputs\":[\"audio_chunk\"],"
	"\"streaming\":\"incremental\",\"execution_scope\":\"session\",\"cancel_class\":\"preemptible\"}";

PARLEY_DECLARE {
	(void)settings, (void)bytes;
	return PARLEY_TEXT_OF(declaration);
}

static int quiet_for;
static _Alignas(16) parley_u8 out[64 * 1024];

PARLEY_ON_EVENT {
	const parley_sample *in = parley_samples(event);
	int loud = 0;
	for (parley_u32 i = 0; i < event->samples; i++)
		loud |= in[i] > QUIET || in[i] < -QUIET;
	quiet_for = loud ? 0 : quiet_for < HOLD ? quiet_for + 1 : HOLD;
	if (quiet_for < HOLD) {
		parley_emit(event, bytes);
		return 0;
	}
	for (parley_u32 i = 0; i < bytes; i++) out[i] = ((const parley_u8 *)event)[i];
	parley_sample *pcm = (parley_sample *)(out + sizeof(parley_event));
	for (parley_u32 i = 0; i < event->samples; i++) pcm[i] = 0;
	parley_emit(out, bytes);
	return 0;
}
