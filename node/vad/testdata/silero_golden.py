# SPDX-License-Identifier: Apache-2.0
"""Writes silero_golden.json: what ONNX Runtime computes for a made-up waveform.

    pip install onnxruntime numpy
    python silero_golden.py silero_vad_v6.onnx > silero_golden.json

The waveform is a voice of three resonances over a gliding pitch, in syllables, with
silence, hiss and a loud hum around it; silero_test.go makes the same one. The model is
fed as its authors do: each frame of 512 samples after the last 64 of the frame before.
"""
import json
import math
import sys

import numpy as np
import onnxruntime

RATE, FRAME, CONTEXT = 16000, 512, 64


def waveform():
    """4 s of signed 16 bit samples, as a list."""
    out, seed, phase = [], 1, 0.0
    y = [[0.0, 0.0] for _ in range(3)]
    for n in range(4 * RATE):
        t = n / RATE
        seed = (seed * 1103515245 + 12345) % (1 << 31)
        noise = seed / (1 << 30) - 1
        x = 0.0
        if 0.5 <= t < 2.5:
            phase += (110 + 40 * math.sin(2 * math.pi * 0.7 * t)) / RATE
            if phase >= 1:
                phase -= 1
                x = 1.0
            x += 0.01 * noise
        glide = 0.5 + 0.5 * math.sin(2 * math.pi * 1.3 * t)
        for r, f in enumerate((300 + 500 * glide, 2200 - 1000 * glide, 2700)):
            radius = math.exp(-math.pi * (60 + 30 * r) / RATE)
            v = x - (-2 * radius * math.cos(2 * math.pi * f / RATE)) * y[r][0] - radius * radius * y[r][1]
            y[r][1], y[r][0] = y[r][0], v
            x = v * (1 - radius)
        loud = max(0.0, math.sin(2 * math.pi * 3.1 * t)) if 0.5 <= t < 2.5 else 0.0
        s = 4e6 * x * loud + 20 * noise
        if 2.8 <= t < 3.2:
            s += 3000 * noise
        if 3.4 <= t < 3.8:
            s += 20000 * math.sin(2 * math.pi * 50 * t)
        out.append(int(max(-32768, min(32767, math.floor(s + 0.5)))))
    return out


def main():
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    pcm = np.array(waveform(), np.int16)
    state = np.zeros((2, 1, 128), np.float32)
    context = np.zeros(CONTEXT, np.float32)
    probabilities = []
    for i in range(0, len(pcm) - FRAME + 1, FRAME):
        frame = pcm[i : i + FRAME].astype(np.float32) / 32768
        feed = {"input": np.concatenate([context, frame])[None], "state": state, "sr": np.array(RATE, np.int64)}
        p, state = session.run(None, feed)
        context = frame[-CONTEXT:]
        probabilities.append(round(float(p[0, 0]), 7))
    json.dump({"onnxruntime": onnxruntime.__version__, "probabilities": probabilities}, sys.stdout, indent=0)
    print()


main()
