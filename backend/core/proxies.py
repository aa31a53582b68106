"""Where a request comes from: proxy headers count only when a configured proxy sent them."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks as a setting lists them. Raises ValueError."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _address(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):  # [::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def believable(peer: str | None, forwarded: Sequence[str]) -> str | None:
    """The peer as another server than ours tells it; None when that may be no more than a header's word.

    uvicorn started by hand takes X-Forwarded-For from localhost for the truth, so whoever sits there could invent an
    address for every try. Such requests count together.
    """
    named = {_address(hop) for value in forwarded for hop in value.split(",")}
    return None if peer is not None and _address(peer) in named else peer


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The nearest address that is no trusted proxy, as the key of its limits: IPv6 counts by its /64.

    `forwarded` are the values of X-Forwarded-For. It is read from the right, where the nearest proxy wrote, and only
    as far as trusted proxies reach, so whatever a client invents further left is never looked at.
    """
    current = _address(peer or "")
    hops = [hop for value in forwarded for hop in value.split(",")]
    while current is not None and hops and any(current in network for network in trusted):
        before = _address(hops.pop())
        if before is None:
            break
        current = before
    if current is None:
        return "local"  # a unix socket, or nobody knows
    if current.version == 6:
        return str(ipaddress.ip_network((current, 64), strict=False))
    return str(current)


def client_digest(secret: str, address: str) -> str:
    """An address as the record keeps it: 16 hexadecimal digits, the same for the same client, told by nobody without
    the secret.
    """
    return hmac.new(b"client:" + secret.encode(), address.encode(), hashlib.sha256).hexdigest()[:16]
