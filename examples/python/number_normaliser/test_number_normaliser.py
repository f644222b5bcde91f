# SPDX-License-Identifier: Apache-2.0
import unittest

from parley_node import HookFailed
from parley_node.testing import Harness

from number_normaliser import NumberNormaliser, normalise


class NumberNormaliserTest(unittest.TestCase):
    def test_numbers(self):
        for text, spoken in {
            "I have 3 tickets.": "I have three tickets.",
            "0": "zero",
            "21 of 100": "twenty-one of one hundred",
            "1,234,567 people": "one million two hundred thirty-four thousand five hundred sixty-seven people",
            "999999999999": "nine hundred ninety-nine billion nine hundred ninety-nine million nine hundred ninety-nine thousand nine hundred ninety-nine",
            "It is -4.05 degrees": "It is minus four point zero five degrees",
            "$42.50, please": "forty-two dollars and fifty cents, please",
            "$1": "one dollar",
            "£0.01 or £2.02": "one penny or two pounds and two pence",
            "€10": "ten euros",
            "7.5% more": "seven point five percent more",
            "the 1st, 2nd, 3rd, 12th, 20th and 101st": "the first, second, third, twelfth, twentieth and one hundred first",
            "call 0800123": "call zero eight zero zero one two three",
            "1234567890123": "one two three four five six seven eight nine zero one two three",
            "Room 12, floor 5.": "Room twelve, floor five.",
        }.items():
            self.assertEqual(normalise(text), spoken)

    def test_what_is_no_number_stays(self):
        for text in ("at 10:30", "on 3/4", "version 1.2.3", "code A7 and 7B", "$1.234", "2024-11-26", "no figures", "", "1,23", "-1st", "$007"):
            self.assertEqual(normalise(text), text)

    def test_the_node_keeps_the_rest(self):
        with Harness(NumberNormaliser) as h:
            h.event("segment", "3 of 4.", index=7, final=True, invocation="c1", payload_class="PII").event("segment", "none")
            one, other = h.emitted
            self.assertEqual((one.text, one.index, one.final, one.invocation, one.payload_class), ("three of four.", 7, True, "c1", "PII"))
            self.assertEqual((other.text, h.counts["numbers_normalised"]), ("none", 1))

    def test_config(self):
        with self.assertRaisesRegex(HookFailed, "config.language: 'de'"), Harness(NumberNormaliser, {"language": "de"}):
            self.fail("it started")


if __name__ == "__main__":
    unittest.main()
