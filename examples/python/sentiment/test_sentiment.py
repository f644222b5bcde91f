# SPDX-License-Identifier: Apache-2.0
import unittest

from parley_node import HookFailed
from parley_node.testing import Harness

from sentiment import Sentiment


class SentimentTest(unittest.TestCase):
    def test_final_transcripts_are_judged(self):
        for text, word in (
            ("this is the worst service I have ever had", "negative"),
            ("thank you that was wonderful", "positive"),
            ("I would like to change my address", "neutral"),
            ("", "neutral"),
        ):
            with Harness(Sentiment) as h:
                h.event("transcript", text, final=True, index=4, attributes={"language": "en"})
                (event,) = h.emitted
                self.assertEqual(event.attributes["sentiment"], word, (text, event.attributes))
                self.assertEqual((event.text, event.index, event.final, event.attributes["language"]), (text, 4, True, "en"))
                self.assertTrue(-1 <= float(event.attributes["sentiment_score"]) <= 1)
                self.assertEqual(h.counts["sentiment_" + word], 1)

    def test_interim_transcripts_pass(self):
        with Harness(Sentiment) as h:
            h.event("transcript", "this is the worst")
            self.assertEqual(dict(h.emitted[0].attributes), {})

    def test_threshold(self):
        with Harness(Sentiment, {"threshold": 0.99}) as h:
            h.event("transcript", "thank you that was wonderful", final=True)
            self.assertEqual(h.emitted[0].attributes["sentiment"], "neutral")
        for bad in (0, 2, "high"):
            with self.assertRaisesRegex(HookFailed, "config.threshold"), Harness(Sentiment, {"threshold": bad}):
                self.fail("it started")


if __name__ == "__main__":
    unittest.main()
