"""Instants as the log writes them: ISO 8601 in UTC with microseconds, as Suricata's EVE does.

Instants are integers, nanoseconds since 1970-01-01 UTC: the engine is told the time and has no clock or calendar.
"""

import re
from functools import lru_cache

NEVER_NS = 1 << 70
"""A deadline later than any instant, the last that a capture may name (in the year 9999) too: nothing waits."""
_SECOND_NS = 1_000_000_000
_DAY_S = 86_400
_TEXT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})\+0000", re.ASCII)


def timestamp(now_ns: int) -> str:
    """Return ``2026-03-01T10:15:02.118000+0000``.

    >>> timestamp(1_772_360_102_118_000_000)
    '2026-03-01T10:15:02.118000+0000'
    """
    second, fraction_ns = divmod(now_ns, _SECOND_NS)
    return f"{_second_text(second)}.{fraction_ns // 1000:06d}+0000"


def instant(text: str) -> int:
    """Return the instant that ``timestamp`` wrote; the inverse, to the microsecond.

    Raises:
        ValueError: the text is not of this form.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no timestamp of the decision log")
    year, month, day, hour, minute, second, microsecond = (int(part) for part in match.groups())
    seconds = _day_number(year, month, day) * _DAY_S + hour * 3600 + minute * 60 + second
    return seconds * _SECOND_NS + microsecond * 1000


def seconds_between(start_ns: int, end_ns: int | None) -> float | None:
    """Return the seconds from start to end, to the microsecond; None when there is no end."""
    return None if end_ns is None else round((end_ns - start_ns) / _SECOND_NS, 6)


@lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    days, rest = divmod(second, _DAY_S)
    year, month, day = _civil(days)
    return f"{year:04d}-{month:02d}-{day:02d}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


def _day_number(year: int, month: int, day: int) -> int:
    """Return how many days a Gregorian date is after 1970-01-01; the inverse of ``_civil``."""
    shifted_year, shifted_month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    era, year_of_era = divmod(shifted_year, 400)
    day_of_year = (153 * shifted_month + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _civil(days: int) -> tuple[int, int, int]:
    """Return the Gregorian date of a day number counted from 1970-01-01 (400-year eras that begin in March)."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return year_of_era + 400 * era + (month <= 2), month, day
