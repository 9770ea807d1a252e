"""Instants as the log writes them; the oracle is the standard library's calendar."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.timestamp import instant, seconds_between, timestamp


@given(st.integers(0, 250_000_000_000_000_000))
def test_every_instant_is_written_as_the_calendar_has_it(microseconds: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    assert instant(timestamp(microseconds * 1000)) == microseconds * 1000
    assert timestamp(microseconds * 1000 + 999) == expected.strftime("%Y-%m-%dT%H:%M:%S.%f+0000").zfill(31)


def test_a_span_is_in_seconds() -> None:
    assert seconds_between(1_000_000_000, 2_500_000_000) == 1.5
    assert seconds_between(1, None) is None


@pytest.mark.parametrize("text", ["", "2026-03-01", "2026-03-01T10:15:02.118000Z", "x2026-03-01T10:15:02.118000+0000"])
def test_other_text_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="no timestamp"):
        instant(text)
