"""Access tokens and secrets: what is ours, and what is not."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from backend.core.errors import NotSignedIn
from backend.core.ids import new_id
from backend.core.tokens import (
    AUDIENCE,
    ISSUER,
    Claims,
    Links,
    check_link,
    hash_secret,
    make_access_token,
    make_secret,
    read_access_token,
)

SECRET = "a secret of thirty-two bytes or more"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def payload(**changes: Any) -> dict[str, Any]:
    """The claims of a good token, with changes; None leaves one out."""
    claims = {
        "sub": str(new_id()),
        "sid": str(new_id()),
        "jti": str(new_id()),
        "typ": "access",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + timedelta(hours=1),
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def signed(changes: dict[str, Any], secret: str = SECRET, **more: Any) -> str:
    return jwt.encode(payload(**changes), secret, **{"algorithm": "HS256", **more})


def raw(header: Any, body: Any) -> str:
    """A token of our own writing, unsigned."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, body)]
    return ".".join([*parts, ""])


def test_a_token_of_ours_is_read_back() -> None:
    claims = Claims(new_id(), new_id())
    token = make_access_token(claims, SECRET, NOW, 60)
    assert read_access_token(token, SECRET, NOW) == claims
    assert read_access_token(token, SECRET, NOW + timedelta(seconds=59)) == claims


def test_a_token_ends_at_its_very_second() -> None:
    token = make_access_token(Claims(new_id(), new_id()), SECRET, NOW, 60)
    with pytest.raises(NotSignedIn) as refused:
        read_access_token(token, SECRET, NOW + timedelta(seconds=60))
    assert refused.value.code == "token_expired"


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "sub", "aud", "iss", "jti", "sid", "typ"])
def test_every_claim_is_required(claim: str) -> None:
    with pytest.raises(NotSignedIn):
        read_access_token(signed({claim: None}), SECRET, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "refresh"},
        {"typ": 1},
        {"aud": "another"},
        {"aud": [AUDIENCE + "x"]},
        {"iss": "another"},
        {"sub": "not an id"},
        {"sid": "not an id"},
        {"sid": 7},
        {"sid": ["a"]},
        {"exp": "tomorrow"},
        {"exp": [1]},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"nbf": -(10**400)},
        {"nbf": NOW + timedelta(minutes=1)},
        {"exp": NOW},
        {"exp": True},
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_claim_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NotSignedIn):
        read_access_token(signed(changes), SECRET, NOW)


def test_the_good_claims_pass_as_they_are() -> None:
    read_access_token(signed({}), SECRET, NOW)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None", "typ": "JWT"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": 7},
        {"alg": None},
        {},
        [],
        {"alg": "HS256", "crit": ["b64"], "b64": False},
        {"alg": "HS256", "kid": 7},
        {"alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}},
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_odd_header_is_refused(header: Any) -> None:
    body = payload(iat=NOW.timestamp(), nbf=NOW.timestamp(), exp=NOW.timestamp() + 60)
    with pytest.raises(NotSignedIn):
        read_access_token(raw(header, body), SECRET, NOW)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("key", ["another secret of thirty-two bytes or more", "short", " "])
def test_another_key_is_refused(key: str) -> None:
    with pytest.raises(NotSignedIn):
        read_access_token(signed({}, key), SECRET, NOW)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_another_algorithm_under_our_key_is_refused(algorithm: str) -> None:
    with pytest.raises(NotSignedIn):
        read_access_token(signed({}, algorithm=algorithm), SECRET, NOW)


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "é.é.é", "x" * 100_000, "\x00", "e30.e30.e30", "W10.W10.W10", "Bearer x.y.z"],
    ids=lambda token: token[:12],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(NotSignedIn):
        read_access_token(token, SECRET, NOW)


def test_one_changed_character_is_refused() -> None:
    token = signed({})
    for place in range(0, len(token), 7):
        if token[place] != ".":
            changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
            with pytest.raises(NotSignedIn):
                read_access_token(changed, SECRET, NOW)


def test_secrets_are_long_different_and_kept_as_a_hash() -> None:
    made = [make_secret() for _ in range(100)]
    assert len({token for token, _ in made}) == 100
    for token, digest in made:
        assert len(token) >= 43
        assert digest == hash_secret(token)
        assert token.encode() not in digest


def test_a_lone_surrogate_in_a_secret_is_hashed_too() -> None:
    assert len(hash_secret("\ud800")) == 32


def test_a_link_signed_for_one_user_path_and_time_is_good_for_no_other() -> None:
    user = new_id()
    link = Links("http://host", SECRET, 900).sign("/script", user, NOW)
    signature = link.rpartition("=")[2]
    until, before = int(NOW.timestamp()), NOW - timedelta(seconds=1)
    check_link(SECRET, "/script", user, until, signature, before)
    for wrong in (
        (SECRET, "/other", user, until, signature, before),
        (SECRET, "/script", new_id(), until, signature, before),
        (SECRET, "/script", user, until + 1, signature, before),
        (SECRET, "/script", user, until, signature, NOW),
        (SECRET, "/script", user, until, "", before),
        (SECRET, "/script", user, until, "\ud800é", before),
        ("another secret of thirty-two bytes", "/script", user, until, signature, before),
    ):
        with pytest.raises(NotSignedIn):
            check_link(*wrong)
