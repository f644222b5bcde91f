# SPDX-License-Identifier: Apache-2.0
"""Says of each final transcript how the caller feels, so that the edges of a graph can ask for it.

It wraps VADER, a lexicon and rule based scorer for English. It needs no network and no model.
"""

from __future__ import annotations

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from parley_node import ConfigError, Context, Event, Node, serve


class Sentiment(Node):
    """Passes transcripts on; the final ones have the attributes sentiment and sentiment_score besides."""

    type = "sentiment"
    package = "parley-example-sentiment"
    version = "1.0.0"
    inputs = ["transcript"]
    outputs = ["transcript"]
    examples = [
        Event("transcript", "this is", index=1),
        Event("transcript", "this is the worst service I have ever had", index=2, final=True),
        Event("transcript", "thank you that was wonderful", index=3, final=True),
    ]

    #: Loaded once for all instances, which only read it.
    _analyzer: SentimentIntensityAnalyzer | None = None

    def on_init(self, ctx: Context) -> None:
        threshold = ctx.config.get("threshold", 0.4)
        if not isinstance(threshold, (int, float)) or not 0 < threshold <= 1:
            raise ConfigError("threshold", threshold, "give a number above 0, at most 1")
        self.threshold = float(threshold)
        if Sentiment._analyzer is None:
            Sentiment._analyzer = SentimentIntensityAnalyzer()

    async def on_event(self, ctx: Context, event: Event) -> None:
        if not event.final or Sentiment._analyzer is None:
            ctx.emit(event)
            return
        score = float(Sentiment._analyzer.polarity_scores(event.text)["compound"])
        word = "negative" if score <= -self.threshold else "positive" if score >= self.threshold else "neutral"
        ctx.count("sentiment_" + word)
        ctx.emit(event.with_attributes(sentiment=word, sentiment_score=score))


if __name__ == "__main__":
    serve(Sentiment)
