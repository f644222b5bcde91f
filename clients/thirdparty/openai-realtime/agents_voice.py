# SPDX-License-Identifier: Apache-2.0
"""PyPI's openai-agents talks to Parley: an answer that is cut short by speech. The library
checks every event against its types."""

from agents.realtime import RealtimeAgent, RealtimeRunner

from voice import Microphone, expect, need, run


async def conversation():
    agent = RealtimeAgent(name="storyteller", instructions="Tell stories.")
    runner = RealtimeRunner(agent, config={"model_settings": {"model_name": "gpt-realtime"}, "tracing_disabled": True})
    session = await runner.run(model_config={"url": need("REALTIME_URL"), "api_key": need("REALTIME_TOKEN")})
    heard, spoke, interrupted, ends, kinds, truncated = 0, False, 0, 0, [], None
    async with session:
        microphone = Microphone(session.send_audio)
        microphone.say(need("VOICE_ASK"))
        async for event in session:
            if event.type == "error":
                raise AssertionError(event.error)
            if event.type == "audio" and not spoke:
                heard += len(event.audio.data)
                if heard >= 2 * 24 * 1500:
                    spoke = True
                    microphone.say(need("VOICE_CUT"))
            elif event.type == "audio_interrupted":
                interrupted += 1
            elif event.type == "raw_model_event" and event.data.type == "raw_server_event":
                raw = event.data.data
                if not kinds or kinds[-1] != raw["type"]:
                    kinds.append(raw["type"])
                if raw["type"] == "conversation.item.truncated" and truncated is None:
                    truncated = raw["audio_end_ms"]
                if raw["type"] == "response.done":
                    ends += 1
                    if ends == 1:
                        expect(raw["response"]["status"] == "cancelled", "response", raw["response"])
                    else:
                        expect(raw["response"]["status"] == "completed", "response", raw["response"])
                        microphone.stop()
                        break
    expect(interrupted == 1, "interruptions that the library has seen", interrupted)
    expect(truncated is not None, "events", kinds)
    return {"truncated": truncated, "kinds": kinds}


run(conversation)
