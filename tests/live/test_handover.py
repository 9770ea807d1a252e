"""Messages that are lost between the kernel and the daemon's sockets, as the kernel counts them."""

import socket
import subprocess

import pytest

from firewall.live.interception import Handover
from firewall.live.links import InterfaceNames
from firewall.live.listener import open_listeners
from firewall.live.nftables import PROXY_PORT, apply_ruleset, remove_table, render_ruleset
from firewall.live.routing import remove_routes, set_up_routes
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces
from tests.live.peer import udp_socket
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6
from tests.live.test_nftables import CARRIER as CARRIER_ZONE
from tests.live.test_nftables import policy

pytestmark = pytest.mark.netns

DROPS_WHAT_COMES_IN = "chain i { type filter hook input priority 0; policy drop; }"
TAKES_THE_MARK = "chain p { type filter hook prerouting priority -140; meta mark set ct mark; }"
FILTERS_THE_REVERSE_PATH_BY_MARK = (  # firewalld's, by default for IPv6
    "chain p { type filter hook prerouting priority 10; fib saddr . mark . iif oif missing drop; }"
)


@pytest.mark.parametrize("rules", [DROPS_WHAT_COMES_IN, TAKES_THE_MARK, FILTERS_THE_REVERSE_PATH_BY_MARK])
def test_what_other_rules_drop_is_lost_once_it_cannot_be_on_its_way_any_more(testbed: Namespaces, rules: str) -> None:
    def dropped(handover: Handover) -> list[int]:
        for caller, called in ((CARRIER, PSAP), (CARRIER_V6, PSAP_V6)):
            with udp_socket(testbed.carrier, caller) as sender:
                sender.sendto(b"OPTIONS", (called, 5060))
        return [handover.lost(), handover.lost(), handover.lost()]

    def look() -> None:
        set_up_routes((4, 6))
        apply_ruleset(render_ruleset(policy(CARRIER_ZONE)))
        handover = Handover()
        with udp_socket(testbed.carrier, CARRIER) as sender:  # a source route, which the kernel drops
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01\x83\x07\x04" + socket.inet_aton(PSAP))
            sender.sendto(b"OPTIONS", (PSAP, 5060))
        assert dropped(handover) == [0, 0, 0]
        _nft(f"table inet host {{ {rules}; }}")
        assert dropped(handover) == [0, 2, 2]
        assert dropped(handover) == [2, 4, 4]
        assert [Handover().lost(), Handover().lost()] == [0, 0]  # what an earlier run lost
        apply_ruleset(render_ruleset(policy(CARRIER_ZONE), keep_flows=True))
        assert handover.lost() == 4
        remove_table()
        assert handover.lost() == 4
        apply_ruleset(render_ruleset(policy(CARRIER_ZONE)))
        handover.begin_anew()
        assert dropped(handover) == [4, 6, 6]
        assert dropped(Handover()) == [0, 2, 2]
        handover.excuse()
        assert dropped(handover) == [6, 8, 8]

    listeners = in_namespace(testbed.fw, lambda: open_listeners(PROXY_PORT, InterfaceNames()))
    try:
        in_namespace(testbed.fw, look)
    finally:
        for listener in listeners:
            listener.close()
        in_namespace(testbed.fw, lambda: _nft("table inet host; delete table inet host"))
        in_namespace(testbed.fw, remove_table)
        in_namespace(testbed.fw, remove_routes)


def _nft(script: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=script, text=True, check=True)
