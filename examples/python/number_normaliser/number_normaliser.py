# SPDX-License-Identifier: Apache-2.0
"""Writes numbers out as English words before they are spoken: "$42.50" becomes "forty-two dollars and fifty cents".

Speech synthesisers read figures each in its own way. This node takes the pieces of a reply on their way to the
synthesiser, so that all of them say the same. It needs nothing but Python.
"""

from __future__ import annotations

import re

from parley_node import ConfigError, Context, Event, Node, serve

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
}
CURRENCIES = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny")}

#: Longer ones are read digit by digit, as are those that begin with a zero: telephone and account numbers.
MAX_DIGITS = 12

NUMBER = re.compile(
    r"(?<![\w.,:/-])(?P<sign>[-\u2212])?(?P<currency>[$€£])?(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<part>\d+))?"
    r"(?P<suffix>st|nd|rd|th|%)?(?!\w|[.,:/-]\d)"
)


def words(n: int) -> str:
    """A whole number below 10**12 in words."""
    for scale, name in SCALES:
        if n >= scale:
            rest = n % scale
            return f"{words(n // scale)} {name}" + (f" {words(rest)}" if rest else "")
    if n >= 100:
        return f"{ONES[n // 100]} hundred" + (f" {words(n % 100)}" if n % 100 else "")
    if n >= 20:
        return TENS[n // 10] + (f"-{ONES[n % 10]}" if n % 10 else "")
    return ONES[n]


def ordinal(n: int) -> str:
    """A whole number as the place in a row."""
    text = words(n)
    at = max(text.rfind(" "), text.rfind("-")) + 1
    head, last = text[:at], text[at:]
    if last in ORDINALS:
        return head + ORDINALS[last]
    return head + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def digits(text: str) -> str:
    """Figures one by one."""
    return " ".join(ONES[int(d)] for d in text)


def _plural(n: int, unit: str) -> str:
    many = "pence" if unit == "penny" else unit + "s"
    return f"{words(n)} {unit if n == 1 else many}"


def _spoken(match: re.Match[str]) -> str:
    sign, currency, whole, part, suffix = match.group("sign", "currency", "whole", "part", "suffix")
    whole = whole.replace(",", "")
    minus = "minus " if sign else ""
    if len(whole) > MAX_DIGITS or len(whole) > 1 and whole[0] == "0":
        if currency or part or suffix or sign:
            return match.group()
        return digits(whole)
    n = int(whole)
    if suffix in ("st", "nd", "rd", "th"):
        return match.group() if part or currency or sign else ordinal(n)
    if currency:
        if suffix or part and len(part) != 2:
            return match.group()
        unit, small = CURRENCIES[currency]
        cents = int(part or 0)
        if cents and not n:
            return minus + _plural(cents, small)
        return minus + _plural(n, unit) + (f" and {_plural(cents, small)}" if cents else "")
    return minus + words(n) + (f" point {digits(part)}" if part else "") + (" percent" if suffix else "")


def normalise(text: str) -> str:
    """The text with its numbers in words. Times, dates, versions and codes stay as they are."""
    return NUMBER.sub(_spoken, text)


class NumberNormaliser(Node):
    """Takes segments and gives them on with their numbers in words."""

    type = "number_normaliser"
    package = "parley-example-number-normaliser"
    version = "1.0.0"
    inputs = ["segment"]
    outputs = ["segment"]
    examples = [Event("segment", "That is 3 tickets for $42.50.", index=1), Event("segment", "You are the 21st caller.", index=2)]

    def on_init(self, ctx: Context) -> None:
        language = ctx.config.get("language", "en")
        if language != "en":
            raise ConfigError("language", language, 'it speaks English only: use "en"')

    async def on_event(self, ctx: Context, event: Event) -> None:
        text = normalise(event.text)
        if text != event.text:
            ctx.count("numbers_normalised")
        ctx.emit(event.replace(text=text))


if __name__ == "__main__":
    serve(NumberNormaliser)
