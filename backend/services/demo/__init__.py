"""A world to show the product in: an empty installation filled by calling the services, in one transaction.

The people, scripts and products are made up, and are ours. Times are relative to the moment of filling.
"""

from __future__ import annotations

from sqlalchemy import func, select

from backend.core import clock
from backend.core.config import Settings
from backend.core.database import Database, Db, Tx
from backend.core.errors import Conflict, Unavailable
from backend.core.passwords import hash_password
from backend.core.statements import Statement
from backend.core.tokens import Links
from backend.integrations.storage import Storage
from backend.models.users import User
from backend.schemas.examples.demo import PASSWORD, PEOPLE, Person
from backend.services.demo.stage import Stage
from backend.services.demo.story import play

__all__ = ["PASSWORD", "PEOPLE", "Person", "fill"]

_ADDRESSES = [person.email for person in PEOPLE]
_FOUND = Statement(select(func.count(), func.count().filter(User.email.in_(_ADDRESSES))).select_from(User))


async def fill(dsn: str, settings: Settings) -> bool:
    """Fill an empty installation, all or nothing. Answers False, and changes nothing, when it was filled before.

    Raises Conflict in production, and where there are accounts of others.
    """
    if settings.app_env == "production":
        raise Conflict(
            "The demo has well-known passwords: it is not for APP_ENV=production.", code="demo_in_production"
        )
    async with Database.opened(dsn, settings) as database:
        async with database.reading() as db:
            if await _is_filled(db):
                return False
        digest = await hash_password(PASSWORD)
        storage = Storage(settings.uploads)
        stored: list[str] = []

        async def work(tx: Tx) -> None:
            # A second run of the transaction (after a deadlock, say) starts over with its files too.
            links = Links("", settings.signing_secret(), settings.doc_link_expires_in)
            stage = Stage(tx, storage, links, digest, started=clock.now(), stored=stored)
            with clock.replaced(stage.now):
                await play(stage)

        try:
            await database.change(work)
        except BaseException as error:
            # When the connection broke, nobody knows whether the COMMIT went through; a file too many does no harm.
            if not (isinstance(error, Unavailable) and error.code == "database_unavailable"):
                for key in stored:
                    await storage.delete(key)
            raise
    return True


async def _is_filled(db: Db) -> bool:
    """Whether the demo's own accounts are here. Raises Conflict when only others are."""
    found = await _FOUND.one(db)
    assert found is not None
    if found[0] > 0 and found[1] == 0:
        raise Conflict("There are accounts here already; the demo fills an empty installation only.", code="not_empty")
    return bool(found[1])
