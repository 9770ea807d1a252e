from collections.abc import Callable

import pytest

from firewall.lint import bodies
from firewall.lint.bodies import Body
from firewall.sip.body import body_parts
from firewall.sip.message import parse_message
from firewall.sip.sdp import parse_sdp


def parts(body: Body) -> list[str]:
    head = f"INVITE urn:service:sos SIP/2.0\r\nContent-Type: {body.content_type}\r\n\r\n"
    return [part.content_type for part in body_parts(parse_message(head.encode() + body.content))]


@pytest.mark.parametrize("maker", [bodies.audio, bodies.hold, bodies.audio_and_text, bodies.text_only, bodies.msrp])
@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1"])
def test_every_offer_names_the_address_it_is_made_for(maker: Callable[[str], Body], ip: str) -> None:
    description = parse_sdp(maker(ip).content)
    assert description.media
    assert {media.address for media in description.media} == {ip}


def test_the_location_is_the_second_part_and_a_header_refers_to_it() -> None:
    body = bodies.location("192.0.2.1")
    assert parts(body) == ["application/sdp", "application/pidf+xml"]
    assert ("Geolocation", "<cid:target@caller.example>") in body.headers


def test_a_body_without_its_end_has_the_same_parts() -> None:
    assert parts(bodies.location_without_end("192.0.2.1")) == parts(bodies.location("192.0.2.1"))


def test_nested_multiparts_hold_location_and_four_blocks_of_additional_data() -> None:
    found = parts(bodies.everything("192.0.2.1"))
    assert found[:2] == ["application/sdp", "application/pidf+xml"]
    assert len(found) == 6
    assert all(each.startswith("application/emergencycalldata.") for each in found[2:])
