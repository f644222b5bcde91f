// SPDX-License-Identifier: Apache-2.0
//
// PocketSphinx as a WebAssembly reactor: one decoder in one instance.
//
// The host calls, in this order: stt_open once; then for every utterance
// stt_reset, stt_set_voice when it knows the caller, stt_begin, stt_feed ...,
// stt_end. stt_text may be asked at any time after stt_begin. Messages of level error
// and above go to standard error, one a line, where the host keeps the last.
// A fatal error of the library ends the instance (exit or trap).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pocketsphinx.h>
#include <sphinxbase/cmn.h>
#include <sphinxbase/err.h>

#include "ngram_search.h"
#include "pocketsphinx_internal.h"

#define EXPORT(name) __attribute__((export_name(#name)))

// The version of this interface. The host refuses any other.
enum { ABI = 1 };

// More arguments than this in stt_open is a mistake of the host.
enum { MAX_ARGS = 128 };

// The decoder subtracts a running mean from every cepstrum, which takes the
// microphone and the room out of it. Left alone it starts from the model's mean
// and moves only between utterances; a caller's first words then fare badly.
// Here the mean moves while the caller speaks: every UPDATE_SAMPLES, from a
// start that weighs as much as the given number of frames of 10 ms.
enum { UPDATE_SAMPLES = 1600, MODEL_WEIGHT = 20, VOICE_WEIGHT = 100 };

// When the utterance is over, the words are chosen once more, out of everything
// that was considered. The time that takes grows with the number of word ends
// considered: 5 to 60 ms below this limit, half a second in 11 s of bad sound.
enum { MAX_WORD_ENDS = 12000 };

static ps_decoder_t *decoder;
static mfcc_t *model_mean; // what stt_open found, for stt_reset
static size_t since_update; // samples

static void on_message(void *user, err_lvl_t level, const char *format, ...) {
    va_list args;

    (void)user;
    if (level < ERR_ERROR)
        return;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

EXPORT(parley_abi) int parley_abi(void) { return ABI; }

EXPORT(parley_alloc) void *parley_alloc(size_t size) { return malloc(size); }

EXPORT(parley_free) void parley_free(void *p) { free(p); }

// stt_open loads the model. args is a modifiable string of options and values,
// each ended by a newline, named as on pocketsphinx's command line. It returns
// the number of samples a second, or 0 when the model could not be loaded.
EXPORT(stt_open) int stt_open(char *args) {
    char *argv[MAX_ARGS];
    int argc = 0;
    cmd_ln_t *config;
    cmn_t *cmn;

    err_set_logfp(NULL); // the table of every option that ps_init would print
    err_set_callback(on_message, NULL);
    argv[argc++] = "pocketsphinx";
    for (char *arg = strtok(args, "\n"); arg != NULL; arg = strtok(NULL, "\n")) {
        if (argc == MAX_ARGS)
            return 0;
        argv[argc++] = arg;
    }
    if ((config = cmd_ln_parse_r(NULL, ps_args(), argc, argv, TRUE)) == NULL)
        return 0;
    if ((decoder = ps_init(config)) == NULL)
        return 0;
    cmn = decoder->acmod->fcb->cmn_struct;
    if (cmn != NULL) {
        if ((model_mean = calloc((size_t)cmn->veclen, sizeof *model_mean)) == NULL)
            return 0;
        cmn_live_get(cmn, model_mean);
    }
    return (int)cmd_ln_float32_r(config, "-samprate");
}

static cmn_t *mean(void) { return decoder->acmod->fcb->cmn_struct; }

static void set_mean(const mfcc_t *values, int weight) {
    cmn_t *cmn = mean();

    for (int i = 0; i < cmn->veclen; i++) {
        cmn->cmn_mean[i] = values[i];
        cmn->sum[i] = values[i] * (mfcc_t)weight;
    }
    cmn->nframe = weight;
}

// stt_reset forgets what the decoder learnt of the last stream's voice and
// noise. An utterance still open is closed and dropped.
EXPORT(stt_reset) int stt_reset(void) {
    if (decoder->acmod->state != ACMOD_IDLE && decoder->acmod->state != ACMOD_ENDED && ps_end_utt(decoder) < 0)
        return -1;
    if (mean() != NULL)
        set_mean(model_mean, MODEL_WEIGHT);
    return ps_start_stream(decoder);
}

// stt_voice copies what was learnt of the voice, at most n numbers, to values
// and returns how many there are; stt_set_voice brings them back after
// stt_reset, so that a caller's next utterance starts where the last one ended.
EXPORT(stt_voice) int stt_voice(mfcc_t *values, int n) {
    if (mean() == NULL || mean()->veclen > n)
        return 0;
    cmn_live_get(mean(), values);
    return mean()->veclen;
}

EXPORT(stt_set_voice) int stt_set_voice(const mfcc_t *values, int n) {
    if (mean() == NULL || mean()->veclen != n)
        return -1;
    set_mean(values, VOICE_WEIGHT);
    return 0;
}

EXPORT(stt_begin) int stt_begin(void) {
    since_update = 0;
    return ps_start_utt(decoder);
}

// stt_feed takes n samples of 16 bit. It returns a negative number on failure.
EXPORT(stt_feed) int stt_feed(const int16 *samples, size_t n) {
    int result = ps_process_raw(decoder, samples, n, FALSE, FALSE);

    since_update += n;
    if (mean() != NULL && since_update >= UPDATE_SAMPLES) {
        since_update = 0;
        cmn_live_update(mean());
    }
    return result;
}

EXPORT(stt_end) int stt_end(void) {
    int result = ps_end_utt(decoder);

    if (strcmp(ps_search_type(decoder->search), PS_SEARCH_TYPE_NGRAM) == 0) {
        ngram_search_t *search = (ngram_search_t *)decoder->search;

        search->bestpath = search->bpidx <= MAX_WORD_ENDS;
    }
    return result;
}

// stt_text returns the best hypothesis so far as a string that is valid until
// the next call, or NULL when there is none.
EXPORT(stt_text) const char *stt_text(void) {
    int32 score;

    return ps_get_hyp(decoder, &score);
}
