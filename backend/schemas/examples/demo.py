"""What the examples name, and the demo makes: accounts, things in the state that a call needs, and keys to sessions.

This is the only place of these ids. The demo (backend/services/demo) gives them to what it makes, the documentation
prints them, and a test sends every example to the demo.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.models.users import Role

PASSWORD = "backdrop-demo"  # noqa: S105 documented, and refused in production


def _id(number: int) -> str:
    return f"0199a3c0-0000-7000-8000-{number:012d}"


@dataclass(frozen=True, slots=True)
class Person:
    """An account of the demo; its password is everyone's."""

    id: str
    name: str
    role: Role
    email: str


CREATOR = Person(_id(1), "Cleo Marchetti", Role.CREATOR, "creator@demo.example.com")
ADVERTISER = Person(_id(2), "Ada Lindqvist (Nordlicht Agency)", Role.ADVERTISER, "advertiser@demo.example.com")
RIVAL = Person(_id(3), "Bo Tanaka (Harbour Media)", Role.ADVERTISER, "rival@demo.example.com")
MERCHANT = Person(_id(4), "Mo Haddad (Kap & Meridian)", Role.MERCHANT, "merchant@demo.example.com")
OPERATOR = Person(_id(5), "Olga Petrova", Role.OPERATOR, "operator@demo.example.com")
# Without any deals: the one to try the ends of sessions, passwords and accounts on.
NEWCOMER = Person(_id(6), "Gil Okafor", Role.ADVERTISER, "newcomer@demo.example.com")
PEOPLE = (CREATOR, ADVERTISER, RIVAL, MERCHANT, OPERATOR, NEWCOMER)

NIGHT_TRAIN, HARBOUR_LIGHTS, THE_LONG_TABLE, PAPER_BOATS = (_id(number) for number in range(11, 15))
# The scenes of the second draft of "Night Train", and what the water on the last table suggests (a name made of the
# scene's id and the category).
SCENES = tuple(_id(number) for number in range(81, 87))
SUGGESTION = "c9264c6c-8c3c-52b3-8893-0030a36eab75"
# The slots of the examples: one with bids, one to bid on, one that nobody has bid on, one that can go.
SLOT, SLOT_TO_BID_ON, SLOT_TO_CHANGE, SLOT_TO_DELETE, PRIVATE_SLOT = (_id(number) for number in range(21, 26))
# The merchant's catalogue in the order of its file; bids name some of them.
SKUS = tuple(_id(number) for number in range(31, 41))
SKU, SKU_TO_MATCH, SKU_TO_DELETE = SKUS[0], SKUS[9], SKUS[8]
# Bids by what they are good for. `BID` is Pending: the creator has answered with terms, and it is the buyer's turn.
BID, BID_DONE = _id(51), _id(52)
BID_TO_APPROVE, BID_TO_DECLINE, BID_TO_WITHDRAW, BID_TO_COMMIT = (_id(number) for number in range(53, 57))
# `COMMITMENT` is Active, the next one is overdue; the other two are Delivered.
COMMITMENT, COMMITMENT_OVERDUE, COMMITMENT_DELIVERED, COMMITMENT_TO_REJECT = (_id(number) for number in range(61, 65))
COMMENT, EVENT, OTHER = _id(71), _id(72), _id(99)
SESSION_TO_END = _id(73)  # of the newcomer's, on a machine that was left
IDENTITY = _id(74)  # the newcomer's, at Google

# The keys to two sessions of the newcomer's, a way to a new password, a proof of the address: real ones are random
# and told once.
REFRESH_TOKEN, REFRESH_TOKEN_TO_END = "demo-refresh-renew", "demo-refresh-end"
RESET_TOKEN, VERIFICATION_TOKEN = "demo-reset", "demo-verify"
