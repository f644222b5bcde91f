// SPDX-License-Identifier: Apache-2.0
//
// flite with the voice slt as a WebAssembly reactor that streams.
//
// The host calls tts_open once and then tts_say for every text. Audio goes to
// the imported on_audio as soon as there is a chunk of it; the words of a
// sentence go to on_word before the sentence's first audio. on_audio stops the
// synthesis by returning something else than 0.
#include <stdlib.h>
#include <string.h>

#include <flite.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("parley"), import_name(#name)))

// The version of this interface. The host refuses any other.
enum { ABI = 1 };

// A sentence is cut when its characters weigh this much, if the text has no mark
// to end it: nothing is heard before its last word has been analysed, and a
// second of its speech takes 1 MB while it is spoken. A digit is spoken as a word.
enum { MAX_SENTENCE_WEIGHT = 300, DIGIT_WEIGHT = 4 };

enum { SAID = 0, STOPPED = 1, FAILED = -1 };

// on_audio takes n samples of 16 bit.
IMPORT(on_audio) int on_audio(const short *samples, int n);

// on_word says between which samples, counted from the start of tts_say, the
// text's bytes from offset on, length of them, are heard.
IMPORT(on_word) void on_word(int offset, int length, int from, int until);

cst_voice *register_cmu_us_slt(const char *dir);

static cst_voice *voice;
static cst_audio_streaming_info *streaming;

// What tts_say is at: samples given so far, and whether the words of the
// present sentence have been told.
static struct {
    int samples;
    int words_told;
    int stopped;
} saying;

// sample_at reads a time in seconds, out of a feature of the word, as samples
// from the start of tts_say.
static int sample_at(const cst_item *word, const char *feature, int rate) {
    return saying.samples + (int)(ffeature_float(word, feature) * (float)rate);
}

static void tell_words(const cst_utterance *u, int rate) {
    const cst_item *token;

    for (token = relation_head(utt_relation(u, "Token")); token != NULL; token = item_next(token)) {
        const cst_item *first = item_daughter(token), *last = item_last_daughter(token);

        if (first != NULL && last != NULL)
            on_word(item_feat_int(token, "file_pos"), item_feat_int(token, "length"),
                    sample_at(first, "R:SylStructure.daughter1.daughter1.R:Segment.p.end", rate),
                    sample_at(last, "R:SylStructure.daughtern.daughtern.R:Segment.end", rate));
    }
}

static int on_chunk(const cst_wave *w, int start, int size, int last, cst_audio_streaming_info *info) {
    (void)last;
    if (!saying.words_told) {
        saying.words_told = 1;
        tell_words(info->utt, w->sample_rate);
    }
    if (size > 0 && on_audio(&w->samples[start], size) != 0) {
        saying.stopped = 1;
        return CST_AUDIO_STREAM_STOP;
    }
    return CST_AUDIO_STREAM_CONT;
}

EXPORT(parley_abi) int parley_abi(void) { return ABI; }

EXPORT(parley_alloc) void *parley_alloc(size_t size) { return malloc(size); }

EXPORT(parley_free) void parley_free(void *p) { free(p); }

// tts_open makes the voice and returns the number of samples a second, or 0.
// chunk_samples is how much audio is gathered before on_audio is called.
EXPORT(tts_open) int tts_open(int chunk_samples) {
    flite_init();
    if ((voice = register_cmu_us_slt(NULL)) == NULL || (streaming = new_audio_streaming_info()) == NULL)
        return 0;
    streaming->asc = on_chunk;
    streaming->min_buffsize = chunk_samples;
    feat_set(voice->features, "streaming_info", audio_streaming_info_val(streaming));
    return get_param_int(voice->features, "sample_rate", 0);
}

// say_sentence synthesises the tokens gathered in u, and frees u.
static int say_sentence(cst_utterance *u) {
    int samples;

    saying.words_told = 0;
    // The noise in the voice comes from rand: the same text must always give
    // the same samples, whatever was said before it.
    srand(1);
    if (flite_do_synth(u, voice, utt_synth_tokens) == NULL)
        return FAILED;
    samples = utt_wave(u) != NULL ? utt_wave(u)->num_samples : 0;
    delete_utterance(u);
    if (saying.stopped)
        return STOPPED;
    saying.samples += samples;
    return SAID;
}

static void add_token(cst_relation *tokens, const cst_tokenstream *ts, const char *token) {
    cst_item *t = relation_append(tokens, NULL);
    int bare = (int)cst_strlen(token), before = (int)cst_strlen(ts->prepunctuation), after = (int)cst_strlen(ts->postpunctuation);

    item_set_string(t, "name", token);
    item_set_string(t, "whitespace", ts->whitespace);
    item_set_string(t, "prepunctuation", ts->prepunctuation);
    item_set_string(t, "punc", ts->postpunctuation);
    item_set_int(t, "length", before + bare + after);
    // The stream has read one character past the token, except at its end.
    item_set_int(t, "file_pos", ts->file_pos - (ts_eof((cst_tokenstream *)ts) ? 0 : 1) - (before + bare + after));
}

static int weight_of(const char *token) {
    int weight = 1; // of the space

    for (; *token != '\0'; token++)
        weight += *token >= '0' && *token <= '9' ? DIGIT_WEIGHT : 1;
    return weight;
}

// tts_say speaks the text sentence by sentence. stretch is the length of the
// speech against the voice's own (1.0). It returns SAID, STOPPED or FAILED.
EXPORT(tts_say) int tts_say(const char *text, float stretch) {
    cst_tokenstream *ts;
    cst_utterance *u = NULL;
    cst_relation *tokens = NULL;
    int weight = 0, result = SAID;

    memset(&saying, 0, sizeof saying);
    feat_set_float(voice->features, "duration_stretch", stretch);
    ts = ts_open_string(text,
                        get_param_string(voice->features, "text_whitespace", NULL),
                        get_param_string(voice->features, "text_singlecharsymbols", NULL),
                        get_param_string(voice->features, "text_prepunctuation", NULL),
                        get_param_string(voice->features, "text_postpunctuation", NULL));
    if (ts == NULL)
        return FAILED;
    while (result == SAID && !ts_eof(ts)) {
        const char *token = ts_get(ts);

        if (cst_strlen(token) == 0)
            continue;
        weight += weight_of(token);
        if (u != NULL && (weight > MAX_SENTENCE_WEIGHT || default_utt_break(ts, token, tokens))) {
            result = say_sentence(u);
            u = NULL;
        }
        if (u == NULL) {
            u = new_utterance();
            tokens = utt_relation_create(u, "Token");
            weight = weight_of(token);
        }
        add_token(tokens, ts, token);
    }
    ts_close(ts);
    if (u != NULL) {
        if (result == SAID)
            result = say_sentence(u);
        else
            delete_utterance(u);
    }
    return result;
}
