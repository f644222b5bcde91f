# SPDX-License-Identifier: Apache-2.0
"""PyPI's openai talks to Parley: an answer that is cut short by speech, and a typed turn."""

import base64

from openai import AsyncOpenAI

from voice import Microphone, expect, need, run


async def conversation():
    base = need("REALTIME_URL").replace("ws://", "http://").removesuffix("/realtime")
    client = AsyncOpenAI(base_url=base, api_key=need("REALTIME_TOKEN"))
    async with client.realtime.connect(model="gpt-realtime") as connection:
        kinds, responses, cancelled, late = [], [], set(), 0
        item, heard, truncated, spoke, microphone = None, 0, None, False, None
        async for event in connection:
            if not kinds or kinds[-1] != event.type:
                kinds.append(event.type)
            if event.type == "error":
                raise AssertionError(event.error)
            if event.type == "session.created":
                expect(event.session.audio.input.format.rate == 24000, "session", event.session)
                await connection.session.update(
                    session={
                        "type": "realtime",
                        "instructions": "Tell stories.",
                        "audio": {"input": {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "whisper-1"}}},
                    }
                )
            elif event.type == "session.updated":
                async def send(chunk):
                    await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())

                microphone = Microphone(send)
                microphone.say(need("VOICE_ASK"))
            elif event.type == "response.output_audio.delta":
                late += event.response_id in cancelled
                if not responses and not spoke:
                    item, heard = event.item_id, heard + len(base64.b64decode(event.delta))
                    if heard >= 2 * 24 * 1500:
                        spoke = True
                        microphone.say(need("VOICE_CUT"))
                elif not responses:
                    heard += len(base64.b64decode(event.delta))
            elif event.type == "input_audio_buffer.speech_started" and spoke and truncated is None:
                truncated = heard // 48 - 100
                await connection.conversation.item.truncate(item_id=item, content_index=0, audio_end_ms=truncated)
            elif event.type == "response.done":
                responses.append((event.response.status, event.response.status_details))
                if event.response.status == "cancelled":
                    cancelled.add(event.response.id)
                if len(responses) == 2:
                    microphone.stop()
                    break
    expect(responses[0][0] == "cancelled" and responses[0][1].reason == "turn_detected", "responses", responses)
    expect(responses[1][0] == "completed", "responses", responses)
    expect(late == 0, "sound of a cancelled response", late)
    expect("conversation.item.truncated" in kinds, "events", kinds)
    return {"truncated": truncated, "kinds": kinds}


run(conversation)
