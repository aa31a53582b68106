"""Where a request comes from: what clients write about themselves never counts."""

from __future__ import annotations

import pytest

from backend.core.proxies import believable, client_address, networks

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


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.9", [], "192.0.2.9"),
        ("192.0.2.9", ["203.0.113.1"], "192.0.2.9"),
        ("203.0.113.1", ["203.0.113.1"], None),
        ("203.0.113.1", ["6.6.6.6", "203.0.113.1:55123, 127.0.0.1"], None),
        ("2001:db8::7", ["[2001:0db8::0007]:443"], None),
        (None, ["203.0.113.1"], None),
    ],
)
def test_a_peer_that_may_be_a_headers_word_is_not_believed(peer: str | None, forwarded: list[str], found: str) -> None:
    """Another server than ours may have put the header's address in the peer's place."""
    assert believable(peer, forwarded) == found
