"""Where a request comes from: what clients write about themselves never counts."""

from __future__ import annotations

import pytest

from backend.core.proxies import client_address, networks

TRUSTED = networks(["10.0.0.0/8", "2001:db8::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.9", [], "192.0.2.9"),
        ("192.0.2.9", ["203.0.113.1"], "192.0.2.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.1, 10.2.3.4"], "203.0.113.1"),
        ("10.0.0.1", ["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        ("10.0.0.1", ["203.0.113.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1:55123"], "203.0.113.1"),
        ("10.0.0.1", ["[2001:db8:1:2:3::4]:443"], "2001:db8:1:2::/64"),
        ("2001:db8::1", ["2001:db8:1:2::4"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2::4", [], "2001:db8:1:2::/64"),
        ("2001:db8:1:2::5", [], "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.9", ["203.0.113.1"], "192.0.2.9"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.1"], "203.0.113.1"),
        (None, ["203.0.113.1"], "local"),
        ("a socket", ["203.0.113.1"], "local"),
    ],
)
def test_only_what_trusted_proxies_wrote_is_believed(peer: str | None, forwarded: list[str], found: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == found


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert client_address("10.0.0.1", ["203.0.113.1"], ()) == "10.0.0.1"
