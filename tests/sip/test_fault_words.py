"""The words of every anomaly, and of every reason why bytes are no message."""

from firewall.engine.reasons import REASONS
from firewall.sip.fault_words import ANOMALIES, MALFORMED


def test_every_fault_is_in_the_one_table_once() -> None:
    for kind, words in (("anomaly", ANOMALIES), ("malformed", MALFORMED)):
        codes = [code for code, _, _ in words]
        assert len(codes) == len(set(codes))
        assert {reason.code for reason in REASONS.values() if reason.kind == kind} == set(codes)


def test_every_anomaly_names_the_standard_it_breaks() -> None:
    assert [code for code, _, text in ANOMALIES if "RFC " not in text] == []
