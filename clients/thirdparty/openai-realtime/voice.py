# SPDX-License-Identifier: Apache-2.0
"""What the programs in this folder have in common: a microphone, and the outcome."""

import asyncio
import json
import os
import sys
import time
import traceback

RATE = 24000
CHUNK_MS = 40
CHUNK_BYTES = RATE // 1000 * CHUNK_MS * 2


def need(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"set {name}; the Go test beside transport/realtime does")
    return value


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
        with open(file, "rb") as f:
            self.said += f.read()

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
