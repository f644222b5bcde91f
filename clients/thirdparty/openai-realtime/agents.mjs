// SPDX-License-Identifier: Apache-2.0

// @openai/agents-realtime talks to Parley: a question, an answer that is cut short by
// speech, and the answer to what cut it short. Its own code stops, cancels and truncates.

import { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket } from '@openai/agents-realtime';
import { Log, Microphone, checkInterrupted, expect, need, run, sleep, token, url } from './voice.mjs';

await run(async () => {
  const agent = new RealtimeAgent({ name: 'storyteller', instructions: 'Tell stories.', voice: 'marin' });
  const transport = new OpenAIRealtimeWebSocket({ url });
  const session = new RealtimeSession(agent, { transport, model: 'gpt-realtime' });
  const log = new Log();
  const own = [];
  session.on('transport_event', (e) => log.add(e));
  session.on('error', (e) => own.push(['error', JSON.stringify(e)]));
  session.on('audio_interrupted', () => own.push(['interrupted', log.list.length]));
  session.on('agent_end', (_, __, text) => own.push(['said', text]));
  let heard = 0;
  session.on('audio', (e) => (heard += e.data.byteLength));

  await session.connect({ apiKey: token });
  await log.type('session.updated');
  const microphone = new Microphone((chunk) => {
    session.sendAudio(chunk.buffer.slice(chunk.byteOffset, chunk.byteOffset + chunk.byteLength));
  });

  microphone.say(need('VOICE_ASK'));
  const first = await log.type('response.created');
  await log.next('sound', (e) => e.type === 'response.output_audio.delta');
  await sleep(1500);
  microphone.say(need('VOICE_CUT'));
  await log.next('the end of what was cut short', (e) => e.type === 'response.done' && e.response.id === first.response.id);
  const truncated = await log.type('conversation.item.truncated');
  const from = log.list.findIndex((e) => e.type === 'response.done') + 1;
  const second = await log.type('response.created', from);
  await log.next('the second answer', (e) => e.type === 'response.done' && e.response.id === second.response.id);
  microphone.stop();

  const reason = checkInterrupted(log.list, first.response.id);
  expect(reason === 'turn_detected', 'why it was cut off', reason);
  expect(own.filter(([kind]) => kind === 'error').length === 0, 'errors', own);
  expect(own.some(([kind]) => kind === 'interrupted'), 'the library has not stopped its playback', own);
  expect(truncated.audio_end_ms > 500 && truncated.audio_end_ms < 6000, 'truncated at', truncated.audio_end_ms);
  const history = session.history.map((i) => `${i.role}: ${i.content.map((c) => c.transcript ?? c.text).join(' ')}`);
  expect(history.length >= 4, 'history', history);
  session.close();
  return { truncated: truncated.audio_end_ms, heard, history, kinds: log.kinds() };
});
