from firewall.lint.endpoint import Endpoint


def test_an_ipv6_address_stands_in_brackets_as_a_host() -> None:
    assert Endpoint("2001:db8::1").host == "[2001:db8::1]"
    assert Endpoint("192.0.2.1").host == "192.0.2.1"
