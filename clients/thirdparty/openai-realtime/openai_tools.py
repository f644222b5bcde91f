# SPDX-License-Identifier: Apache-2.0
"""PyPI's openai runs a tool for Parley's model, as OpenAI's guide does it: when the response
is done, the call is made, its output is sent, and the next response is asked for."""

import json

from openai import AsyncOpenAI

from voice import expect, need, run

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def conversation():
    base = need("REALTIME_URL").replace("ws://", "http://").removesuffix("/realtime")
    client = AsyncOpenAI(base_url=base, api_key=need("REALTIME_TOKEN"))
    async with client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session={"type": "realtime", "tools": [WEATHER], "tool_choice": "auto"})
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "How is the weather?"}]}
        )
        await connection.response.create()
        calls, said, created = [], None, 0
        async for event in connection:
            if event.type == "error":
                raise AssertionError(event.error)
            created += event.type == "response.created"
            if event.type != "response.done":
                continue
            expect(event.response.status == "completed", "response", event.response)
            now = [o for o in event.response.output if o.type == "function_call"]
            if not now:
                said = event.response.output[0].content[0].transcript
                break
            for call in now:
                calls.append([call.name, json.loads(call.arguments)])
                await connection.conversation.item.create(
                    item={"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
                )
            await connection.response.create()
    expect(len(calls) == 1 and calls[0][0] == "get_weather", "calls", calls)
    expect(created == 2, "responses", created)
    return {"calls": calls, "said": said}


run(conversation)
