// SPDX-License-Identifier: Apache-2.0

// Pipecat's client, with its WebSocket transport, its player and its recorder, unchanged, in a
// page whose microphone plays a recording: a question, and another one while it is answered.
// What it has seen goes to /result.

import { PipecatClient } from '@pipecat-ai/client-js';
import { WavMediaManager, WebSocketTransport } from '@pipecat-ai/websocket-transport';

const log = [];
const began = performance.now();
const note = (kind, data) => log.push({ at: Math.round(performance.now() - began), kind, data });

const media = new WavMediaManager(undefined, 16000);
const transport = new WebSocketTransport({ mediaManager: media, recorderSampleRate: 16000 });

// Looking on: what is handed to the player, and whether it is heard.
const buffer = media.bufferBotAudio.bind(media);
media.bufferBotAudio = (data, id) => {
  note('sound', data.length);
  return buffer(data, id);
};
const window = new Float32Array(8192);
let loud = false;
setInterval(() => {
  const analyser = media._wavStreamPlayer.analyser;
  if (!analyser) return;
  analyser.getFloatTimeDomainData(window);
  // The last 20 ms: the analyser holds a third of a second.
  const now = window.subarray(window.length - 480).some((v) => Math.abs(v) > 0.01);
  if (now !== loud) note(now ? 'loud' : 'silent');
  loud = now;
}, 5);

const told = (kind) => (data) => note(kind, data);
let answers = 0;
let finished;
const done = new Promise((resolve) => (finished = resolve));
const client = new PipecatClient({
  transport,
  enableMic: true,
  callbacks: {
    onBotStarted: told('bot-started'),
    onBotReady: told('bot-ready'),
    onError: told('error'),
    onMessageError: told('message-error'),
    onUserStartedSpeaking: told('user-started'),
    onUserStoppedSpeaking: told('user-stopped'),
    onUserTranscript: told('user-transcript'),
    onBotLlmStarted: told('llm-started'),
    onBotLlmText: told('llm-text'),
    onBotLlmStopped: told('llm-stopped'),
    onBotTtsText: told('tts-text'),
    onBotOutput: told('output'),
    onBotStartedSpeaking: told('bot-speaks'),
    onBotStoppedSpeaking: () => {
      note('bot-silent');
      if (++answers === 2) finished();
    },
  },
});

try {
  await client.startBotAndConnect({
    endpoint: '/v1/rtvi/connect',
    headers: new Headers({ Authorization: `Bearer ${new URLSearchParams(location.search).get('token')}` }),
    requestData: { body: { language: 'en' } },
  });
  await Promise.race([done, new Promise((_, no) => setTimeout(() => no(new Error('the second answer did not end')), 60_000))]);
  note('response', await client.sendClientRequest('weather', { town: 'Rome' }, 5000));
  client.sendText('Tell me more.', { audio_response: false });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await client.disconnect();
  await fetch('/result', { method: 'POST', body: JSON.stringify({ log }) });
} catch (err) {
  await fetch('/result', { method: 'POST', body: JSON.stringify({ error: String(err?.stack ?? err), log }) });
}
