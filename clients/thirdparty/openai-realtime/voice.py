# SPDX-License-Identifier: Apache-2.0
"""What the programs in this folder have in common: a microphone, and the outcome."""

import array
import asyncio
import json
import os
import sys
import time
import traceback
import wave

RATE = 24000
CHUNK_MS = 40
CHUNK_BYTES = RATE // 1000 * CHUNK_MS * 2


def need(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"set {name}; the Go test beside transport/realtime does")
    return value


def recording(file):
    """Reads a WAV file of one channel and 16 bit, and gives its samples at 24000 Hz."""
    with wave.open(file) as wav:
        samples = array.array("h", wav.readframes(wav.getnframes()))
        step = wav.getframerate() / RATE
    out = array.array("h")
    for i in range(int(len(samples) / step)):
        whole = int(i * step)
        after = samples[min(whole + 1, len(samples) - 1)]
        out.append(round(samples[whole] + (after - samples[whole]) * (i * step - whole)))
    return out.tobytes()


class Microphone:
    """Sends silence, and what it is told to say, at the pace of speech."""

    def __init__(self, send):
        self.said = b""
        self.send = send
        self.task = asyncio.create_task(self.run())

    async def run(self):
        began, sent = time.monotonic(), 0
        while True:
            while sent * CHUNK_MS <= (time.monotonic() - began) * 1000:
                chunk, self.said = self.said[:CHUNK_BYTES], self.said[CHUNK_BYTES:]
                await self.send(chunk.ljust(CHUNK_BYTES, b"\0"))
                sent += 1
            await asyncio.sleep(CHUNK_MS / 2000)

    def say(self, file):
        self.said += recording(file)

    def stop(self):
        self.task.cancel()


def expect(ok, what, got=None):
    if not ok:
        raise AssertionError(f"{what}: {got}")


def run(conversation):
    """Ends the process with the outcome of a conversation, and says what was seen."""
    try:
        print(json.dumps(asyncio.run(asyncio.wait_for(conversation(), 120))))
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        sys.exit(1)
