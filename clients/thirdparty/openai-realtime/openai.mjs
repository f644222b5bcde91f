// SPDX-License-Identifier: Apache-2.0

// npm's openai talks to Parley: turns that are ended by hand, and one that is typed and
// answered in writing. The library speaks TLS only.

import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { Log, expect, need, recording, run, sleep, token } from './voice.mjs';

await run(async () => {
  const client = new OpenAI({ baseURL: need('REALTIME_HTTPS'), apiKey: token });
  const rt = new OpenAIRealtimeWS({ model: 'gpt-realtime' }, client);
  const log = new Log();
  rt.on('event', (e) => log.add(e));
  rt.on('error', () => {}); // the log has it

  await log.type('session.created');
  rt.send({
    type: 'session.update',
    session: { type: 'realtime', audio: { input: { turn_detection: null, transcription: { model: 'whisper-1' } } } },
  });
  await log.type('session.updated');

  // Nothing was said yet: an error in the library's own terms.
  rt.send({ type: 'input_audio_buffer.commit', event_id: 'too-early' });
  const early = await log.type('error');
  expect(early.error.code === 'input_audio_buffer_commit_empty' && early.error.event_id === 'too-early', 'error', early);

  // The whole of a question at once, and the answer when it is asked for.
  const voice = recording(need('VOICE_ASK'));
  for (let at = 0; at < voice.length; at += 48_000) {
    rt.send({ type: 'input_audio_buffer.append', audio: voice.subarray(at, at + 48_000).toString('base64') });
  }
  rt.send({ type: 'input_audio_buffer.commit' });
  rt.send({ type: 'response.create' });
  const committed = await log.type('input_audio_buffer.committed');
  const words = await log.type('conversation.item.input_audio_transcription.completed');
  expect(words.item_id === committed.item_id, 'the transcript is of', words.item_id);
  const first = await log.type('response.created');

  // It is stopped by hand. What follows of its sound was on its way.
  await log.type('response.output_audio.delta');
  await sleep(1000);
  rt.send({ type: 'response.create', event_id: 'one-too-many' });
  const busy = await log.next('the refusal', (e) => e.type === 'error' && e.error.event_id === 'one-too-many');
  expect(busy.error.code === 'conversation_already_has_active_response', 'error', busy);
  rt.send({ type: 'response.cancel' });
  const done = await log.type('response.done');
  expect(done.response.id === first.response.id && done.response.status === 'cancelled', 'response', done.response);
  expect(done.response.status_details.reason === 'client_cancelled', 'why', done.response.status_details);
  const cut = log.list.length;

  // A typed question, answered in writing.
  rt.send({
    type: 'conversation.item.create',
    item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'What time is it?' }] },
  });
  rt.send({ type: 'response.create', response: { output_modalities: ['text'] } });
  const second = await log.type('response.created', cut);
  const written = await log.type('response.done', cut);
  expect(written.response.id === second.response.id && written.response.status === 'completed', 'response', written.response);
  const late = log.list.slice(cut).filter((e) => e.type === 'response.output_audio.delta');
  expect(late.length === 0, 'sound behind the cancel', late.length);
  rt.close();
  return { words: words.transcript, text: written.response.output[0].content[0].text, kinds: log.kinds() };
});
