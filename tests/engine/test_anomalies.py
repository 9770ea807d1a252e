"""The words of every anomaly."""

from firewall.engine.anomalies import ANOMALIES
from firewall.engine.reasons import REASONS


def test_every_anomaly_is_in_the_one_table_once() -> None:
    codes = [code for code, _, _ in ANOMALIES]
    assert len(codes) == len(set(codes))
    assert {reason.code for reason in REASONS.values() if reason.kind == "anomaly"} == set(codes)


def test_every_anomaly_names_the_standard_it_breaks() -> None:
    assert [code for code, _, text in ANOMALIES if "RFC " not in text] == []
