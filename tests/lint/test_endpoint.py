from firewall.lint.endpoint import Endpoint, Pair


def test_an_ipv6_address_stands_in_brackets_as_a_host() -> None:
    assert Endpoint("2001:db8::1").host == "[2001:db8::1]"
    assert Endpoint("192.0.2.1").host == "192.0.2.1"


def test_who_sends_stands_before_who_receives() -> None:
    pair = Pair(Endpoint("192.0.2.1"), Endpoint("198.51.100.1"))
    assert pair.ends("caller") == (pair.caller, pair.psap)
    assert pair.ends("psap") == (pair.psap, pair.caller)
