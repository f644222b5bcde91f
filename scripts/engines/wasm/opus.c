// SPDX-License-Identifier: Apache-2.0
//
// The encoder of libopus as a WebAssembly reactor, one stream for each instance.
//
// The host calls opus_open once, then for every frame writes the samples to
// where opus_samples says and calls opus_frame, whose packet it reads where
// opus_packet says. Addresses stay valid for as long as the instance lives.
#include <stddef.h>

#include <opus.h>

#define EXPORT(name) __attribute__((export_name(#name)))

// The version of this interface. The host refuses any other.
enum { ABI = 1 };

enum { RATE = 16000, FRAME = RATE / 50, MAX_PACKET = 1275 };

static OpusEncoder *encoder;
static short samples[FRAME];
static unsigned char packet[MAX_PACKET];

EXPORT(parley_abi) int parley_abi(void) { return ABI; }

EXPORT(opus_samples) short *opus_samples(void) { return samples; }

EXPORT(opus_packet) unsigned char *opus_packet(void) { return packet; }

// opus_open makes the encoder for speech: bits a second, effort from 0 to 10,
// and the share of packets in percent that the network is expected to lose; with
// any, each packet holds the one before once more, in few bits. It returns 0, or
// an error of libopus.
EXPORT(opus_open) int opus_open(int bitrate, int effort, int loss) {
    int error;

    if ((encoder = opus_encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, &error)) == NULL)
        return error;
    if ((error = opus_encoder_ctl(encoder, OPUS_SET_BITRATE(bitrate))) != OPUS_OK ||
        (error = opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(effort))) != OPUS_OK ||
        (error = opus_encoder_ctl(encoder, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE))) != OPUS_OK ||
        (error = opus_encoder_ctl(encoder, OPUS_SET_PACKET_LOSS_PERC(loss))) != OPUS_OK)
        return error;
    return opus_encoder_ctl(encoder, OPUS_SET_INBAND_FEC(loss > 0));
}

// opus_frame encodes the samples and returns the length of the packet, or an
// error of libopus.
EXPORT(opus_frame) int opus_frame(void) {
    return opus_encode(encoder, samples, FRAME, packet, MAX_PACKET);
}

// opus_reset begins a new stream.
EXPORT(opus_reset) int opus_reset(void) {
    return opus_encoder_ctl(encoder, OPUS_RESET_STATE);
}
