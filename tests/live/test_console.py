"""Sentences on stderr, also where nobody reads them."""

import os
import time

from firewall.live.console import Console


def test_a_sentence_is_one_line_whatever_is_in_it() -> None:
    reader, writer = os.pipe()
    console = Console(writer)
    console.say("one\ntwo \udcff")
    console.close()
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"sosgate: one two \\udcff\n"


def test_a_reader_that_went_away_hurts_nobody() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    console = Console(writer)
    for _ in range(10):
        console.say("into the void")
    console.close()
    os.close(writer)


def test_a_reader_that_does_not_read_never_holds_up_the_traffic_and_hears_what_it_missed() -> None:
    reader, writer = os.pipe()
    console = Console(writer)
    began = time.monotonic()
    for number in range(20_000):
        console.say(f"{number} " + "x" * 100)
    assert time.monotonic() - began < 2
    received = b""
    while b"earlier lines could not be shown)" not in received:
        console.say("and on")
        received += os.read(reader, 65536)
    console.close()
    os.close(reader)
    os.close(writer)
