"""The section ``media`` of a policy."""

import pytest

from firewall.errors import PolicyError
from firewall.ruleset.load import load_policy
from firewall.ruleset.policy import MediaPolicy, Policy
from tests.scene import NoFiles

RULES = "rules:\n  - {name: pcmu, when: rtp.p_type == 0, action: allow, inspect: all}\ndefault: drop\n"


def load(media: str) -> Policy:
    return load_policy(f"policy: p\nmedia: {media}\n{RULES}".encode(), file="p.yaml", sources=NoFiles())


def test_every_key_is_read_and_knows_its_line() -> None:
    media = load(
        "{mode: shadow, source: port, early: answer, nat: latch, ports: 10000-20000, other_ports: [4500],"
        " grace: 2s, timeout: 20s, inspect: first}"
    ).media
    assert media == MediaPolicy(
        "shadow", "port", "answer", "latch", (10000, 20000), frozenset({4500}), 2_000_000_000, 20_000_000_000, "first"
    )
    assert (media.line("timeout"), MediaPolicy().line("timeout")) == (2, None)


def test_without_the_section_what_is_negotiated_passes_and_nothing_else() -> None:
    policy = load("")
    assert policy.media == MediaPolicy()
    assert (policy.media.mode, policy.media.ports) == ("enforce", (1024, 65535))


def test_a_rule_that_names_a_field_of_media_is_about_media() -> None:
    (rule,) = load("").rules
    assert rule.about_media
    assert rule.inspect == "all"


@pytest.mark.parametrize(
    ("media", "sentence"),
    [
        ("{ports: 20000-10000}", "p.yaml:2:16: error: ports 20000-10000 is reversed; write it as 10000-20000"),
        ("{ports: 80-90}", "p.yaml:2:16: error: ports 80-90 is outside 1024-65535, where media is"),
        ("{ports: all}", 'p.yaml:2:16: error: ports "all" is no range of ports; write it as 10000-20000'),
        ("{timeout: 20}", 'p.yaml:2:18: error: timeout "20" is no duration; write it as 30s, 10m or 24h'),
        ("{tmeout: 20s}", 'p.yaml:2:9: error: unknown key "tmeout" in media; did you mean "timeout"?'),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_next_step(media: str, sentence: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load(media)
    assert str(refused.value) == sentence


def test_inspect_has_no_meaning_in_a_rule_about_signalling() -> None:
    rules = RULES.replace("rtp.p_type == 0", "sip.Method")
    with pytest.raises(PolicyError, match="inspect stands only in a rule about media"):
        load_policy(f"policy: p\n{rules}".encode(), file="p.yaml", sources=NoFiles())
