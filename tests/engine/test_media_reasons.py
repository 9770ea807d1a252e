"""The words of media decisions and of odd media packets."""

import re
from pathlib import Path
from typing import get_args

from firewall.engine.media_flow import MediaAnomaly
from firewall.engine.media_reasons import MEDIA_ANOMALIES, MEDIA_REASONS
from firewall.engine.media_record import SETTINGS
from firewall.engine.reasons import REASONS
from firewall.engine.way import Refusal
from firewall.ruleset.schema import MEDIA_KEYS


def test_every_code_has_its_words_and_none_is_there_twice() -> None:
    assert not set(MEDIA_REASONS) & set(MEDIA_ANOMALIES)
    assert set(get_args(MediaAnomaly)) == set(MEDIA_ANOMALIES)
    assert set(get_args(Refusal)) <= set(MEDIA_REASONS)
    assert {*MEDIA_REASONS, *MEDIA_ANOMALIES} <= set(REASONS)


def test_a_reason_whose_setting_is_known_tells_of_it_on_its_page() -> None:
    for code, key in SETTINGS.items():
        assert key in MEDIA_KEYS
        assert f"media.{key}" in REASONS[code].text


def test_every_anomaly_names_its_standard() -> None:
    assert [code for code, (_, text) in MEDIA_ANOMALIES.items() if "RFC " not in text and "rtp.p_type" not in text] == [
        "rtp_too_many_sources"
    ]


def test_every_reason_that_the_engine_gives_to_media_is_in_the_table() -> None:
    engine = Path(__file__).parents[2] / "firewall" / "engine"
    text = "\n".join(path.read_text() for path in engine.glob("*.py") if path.name != "media_reasons.py")
    given = set(re.findall(r'Decision\("(?:allow|drop)", "(media_\w+)"', text)) | set(get_args(Refusal))
    assert set(MEDIA_REASONS) == given | set(re.findall(r'return "(media_\w+)"', text))
