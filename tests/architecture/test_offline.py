"""The engine and everything under it need no network: their tests are run where there is none (tests/conftest.py)."""

import socket
import tomllib

import pytest

from tests.conftest import CORE, TESTS

pytestmark = pytest.mark.netns


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("address", ["192.0.2.1", "127.0.0.1"])
def test_where_there_is_no_network_nothing_is_reached(address: str) -> None:
    with pytest.raises(OSError, match="Network is unreachable"):
        socket.create_connection((address, 9), 1)


def test_that_is_where_every_package_is_tested_that_may_touch_no_socket() -> None:
    contracts = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (closed,) = [each["source_modules"] for each in contracts if each["type"] == "forbidden"]
    assert [f"firewall.{package}" for package in CORE] == closed
