"""Who plays in the demo."""

from __future__ import annotations

from dataclasses import dataclass

from backend.models.users import Role

PASSWORD = "backdrop-demo"  # noqa: S105 documented, and refused in production


@dataclass(frozen=True, slots=True)
class Person:
    """An account of the demo; its password is everyone's."""

    name: str
    role: Role
    email: str


CREATOR = Person("Cleo Marchetti", Role.CREATOR, "creator@demo.example.com")
ADVERTISER = Person("Ada Lindqvist (Nordlicht Agency)", Role.ADVERTISER, "advertiser@demo.example.com")
RIVAL = Person("Bo Tanaka (Harbour Media)", Role.ADVERTISER, "rival@demo.example.com")
MERCHANT = Person("Mo Haddad (Kap & Meridian)", Role.MERCHANT, "merchant@demo.example.com")
OPERATOR = Person("Olga Petrova", Role.OPERATOR, "operator@demo.example.com")
PEOPLE = (CREATOR, ADVERTISER, RIVAL, MERCHANT, OPERATOR)
