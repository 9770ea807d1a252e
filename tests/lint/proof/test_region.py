"""Literals of the formula become words, what the kind of message says already left out."""

from firewall.lint.proof.canonical import canonical_policies
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.region import Region
from firewall.ruleset.expression import Comparison, Field
from tests.lint.policies import IPV4_ZONES, policy, rule

LIMIT = "limit: {rate: 5/1s, per: net.src}"
SCHEDULE = 'schedule: {days: [sat], hours: "22:00-06:00", timezone: UTC}'


def test_conditions_schedules_and_limits_are_said_the_method_is_not() -> None:
    tested = policy(rule('sip.Method == "INVITE" and sip.Subject == "x"', more=f"{LIMIT}\n{SCHEDULE}"), after="")
    encoding = Encoding(canonical_policies([tested]))
    (limited,) = encoding.policies[0].rules
    (active,) = encoding.schedules().values()
    subject = encoding.literal(Comparison(Field("sip.Subject"), "==", "x"))
    method = encoding.literal(Comparison(Field("sip.Method"), "==", "INVITE"))
    region = Region.of([method, -subject, -active, limited.above], encoding, encoding.policies)
    assert region.words == (
        "sip.Subject is not x",
        "it is not sat 22:00-06:00 UTC",
        "the sender is above 5/1s per net.src",
    )


def test_a_zone_that_is_not_the_same_in_both_policies_is_said_of_each() -> None:
    smaller = IPV4_ZONES.replace("192.0.2.0/24", "192.0.2.0/25")
    encoding = Encoding(canonical_policies([policy(zones=IPV4_ZONES), policy(zones=smaller)]))
    carrier = Comparison(Field("zone.src"), "==", "carrier")
    before, after = (encoding.literal(carrier, encoding.view(each.policy)) for each in encoding.policies)
    region = Region.of([before, -after], encoding, encoding.policies)
    assert region.words == ("the source zone is carrier before", "the source zone is not carrier after")
