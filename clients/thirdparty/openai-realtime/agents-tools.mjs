// SPDX-License-Identifier: Apache-2.0

// @openai/agents-realtime runs a tool for Parley's model: the library calls it, sends what
// it answered, and asks for the response that goes on with it.

import { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, tool } from '@openai/agents-realtime';
import { z } from 'zod';
import { Log, expect, run, token, url } from './voice.mjs';

await run(async () => {
  const calls = [];
  const weather = tool({
    name: 'get_weather',
    description: 'The weather of a city.',
    parameters: z.object({ city: z.string() }),
    execute: async (args) => {
      calls.push(args);
      return 'rain';
    },
  });
  const agent = new RealtimeAgent({ name: 'forecaster', instructions: 'Tell the weather.', tools: [weather] });
  const session = new RealtimeSession(agent, { transport: new OpenAIRealtimeWebSocket({ url }), model: 'gpt-realtime' });
  const log = new Log();
  const errors = [];
  session.on('transport_event', (e) => log.add(e));
  session.on('error', (e) => errors.push(JSON.stringify(e)));
  await session.connect({ apiKey: token });
  await log.type('session.updated');

  session.sendMessage('How is the weather?');
  const first = await log.type('response.done');
  expect(first.response.status === 'completed', 'response', first.response);
  expect(first.response.output.some((i) => i.type === 'function_call'), 'no call in', first.response.output);
  const from = log.list.findIndex((e) => e.type === 'response.done') + 1;
  const second = await log.type('response.done', from);
  expect(calls.length === 1, 'the tool was called', calls);
  expect(errors.length === 0, 'errors', errors);
  const created = log.list.filter((e) => e.type === 'response.created').length;
  expect(created === 2, 'responses', created);
  session.close();
  return { calls, said: second.response.output[0]?.content[0]?.transcript, kinds: log.kinds() };
});
