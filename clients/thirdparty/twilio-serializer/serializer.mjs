// SPDX-License-Identifier: Apache-2.0

// What Pipecat's TwilioSerializer makes of sound, and of the messages of a server: one JSON
// object a line in, one a line out, by the standard streams.
//
//   {"pcm": [1, 2, 3]}  ->  {"message": "{\"event\":\"media\",...}"}
//   {"message": "..."}  ->  {"type": "audio", "pcm": [...]} or {"type": "raw", "event": "clear"}

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { TwilioSerializer } = createRequire(import.meta.url)('@pipecat-ai/websocket-transport');
const serializer = new TwilioSerializer();

for await (const line of createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line);
  if (ask.pcm) {
    const message = serializer.serializeAudio(Int16Array.from(ask.pcm).buffer, 8000, 1);
    console.log(JSON.stringify({ message }));
    continue;
  }
  const told = await serializer.deserialize(ask.message);
  console.log(JSON.stringify({ type: told.type, pcm: told.audio && Array.from(told.audio), event: told.message?.event }));
}
