"""The stage of the demo: its clock, and one short verb for each call of a service that the story makes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

import msgspec

from backend.core import ids
from backend.core.database import Tx
from backend.core.paging import Page
from backend.core.shapes import IfMatch, Reply
from backend.core.tokens import Links
from backend.core.uploads import Kept, inspect
from backend.integrations.screenplays import read_scenes
from backend.integrations.storage import Files
from backend.models.events import ActorRole
from backend.models.users import Role
from backend.policies.users import Actor
from backend.schemas.bids import ApproveIn, BidIn, CommitIn, DeclineIn, TermsIn, WithdrawIn
from backend.schemas.commitments import ConfirmIn, DeliverIn, ReasonIn
from backend.schemas.examples.demo import Person
from backend.schemas.projects import ProjectIn
from backend.schemas.slots import SlotIn, SlotPatch
from backend.schemas.suggestions import SuggestedSlotsIn
from backend.schemas.users import ProfilePatch
from backend.services import (
    bidding,
    catalogues,
    comments,
    drafts,
    fulfilment,
    projects,
    scenes,
    skus,
    slots,
    suggestions,
    users,
)
from backend.services.users import NewUser

_NO_MAIL = ProfilePatch.model_validate({"mailNotifications": False})
FILES = Path(__file__).parent / "files"


def _content(file_name: str) -> bytes:
    return (FILES / file_name).read_bytes()


def _id(reply: Reply) -> UUID:
    return UUID(msgspec.json.decode(reply.body)["id"])


class Stage:
    """Everything happens in one transaction; `on` sets the day on which it does."""

    def __init__(
        self, tx: Tx, files: Files, links: Links, digest: str, *, started: datetime, stored: list[str]
    ) -> None:
        self.tx, self.files, self.links, self.digest, self.stored = tx, files, links, digest, stored
        self.started = self._moment = started
        self._visits = 0

    def now(self) -> datetime:
        """The time on stage: it passes a little with every look at it."""
        self._moment += timedelta(milliseconds=20)
        return self._moment

    def on(self, days: float) -> None:
        """So many days from now; the past is negative. Time only goes forward."""
        moment = self.started + timedelta(days=days)
        if days <= -6:  # office hours, where a day more or less in a deadline makes no difference
            self._visits += 1
            moment = moment.replace(hour=9 + self._visits * 5 % 9, minute=self._visits * 17 % 60)
        assert moment > self._moment or self._moment >= self.started, "the story is told in order"
        self._moment = moment

    async def person(self, person: Person) -> Actor:
        """An account. Its address is made up: it counts as proven, and mail to it is switched off, as anyone may do."""
        by = ActorRole.SYSTEM if person.role is Role.OPERATOR else ActorRole.ANONYMOUS
        with ids.given(UUID(person.id)):
            new = NewUser(person.email, person.name, person.role, email_verified=True)
            user_id = await users.create(self.tx, new, self.digest, by)
        actor = Actor(user_id, person.role)
        await users.patch_me(self.tx, actor, _NO_MAIL, IfMatch(None))
        return actor

    async def asks(self, merchant: Actor, **profile: Any) -> None:
        """What a merchant asks of placements."""
        body = ProfilePatch.model_validate({"merchantProfile": profile})
        await users.patch_me(self.tx, merchant, body, IfMatch(None))

    async def project(self, creator: Actor, project_id: str, file_name: str, **fields: Any) -> UUID:
        """A project with its script, which has been read."""
        body = ProjectIn.model_validate(fields)
        kept = await self._kept(file_name)
        with ids.given(UUID(project_id)):
            project = _id(await projects.create(self.tx, creator, body, kept, self.links))
        await self._read(file_name)
        return project

    async def draft(self, creator: Actor, project: UUID, file_name: str, scene_ids: Iterable[str] = ()) -> None:
        """A new draft of the script, which has been read; its scenes get these ids."""
        kept = await self._kept(file_name)
        await projects.replace_script(self.tx, creator, project, kept, IfMatch(None), self.links)
        await self._read(file_name, scene_ids)

    async def _read(self, file_name: str, scene_ids: Iterable[str] = ()) -> None:
        """What the job does; these files are ours, so they need no process of their own."""
        claimed = await scenes.claim(self.tx)
        assert claimed is not None
        found = read_scenes(BytesIO(_content(file_name)), PurePath(file_name).suffix)
        with ids.given(*map(UUID, scene_ids)):
            await drafts.finish(self.tx, claimed, [scene.values() for scene in found], None)

    async def scenes(self, creator: Actor, project: UUID) -> list[str]:
        """The ids of the scenes of a script, in their order."""
        listed = msgspec.json.decode((await scenes.find_all(self.tx, creator, project)).body)
        return [scene["id"] for scene in listed]

    async def _kept(self, file_name: str) -> Kept:
        script = inspect(BytesIO(_content(file_name)), file_name)
        key = await self.files.put(script.content)
        self.stored.append(key)
        return Kept(script, key)

    async def slot(self, creator: Actor, project: UUID, scene: str, *slot_id: str, **fields: Any) -> UUID:
        """A slot."""
        body = {"projectId": str(project), "sceneRef": scene, **fields}
        with ids.given(*map(UUID, slot_id)):
            return _id(await slots.create(self.tx, creator, SlotIn.model_validate(body)))

    async def rescene(self, creator: Actor, slot: UUID, scene: str) -> None:
        """Another scene for a slot that nobody has bid on."""
        await slots.patch(self.tx, creator, slot, SlotPatch.model_validate({"sceneId": scene}), IfMatch(None))

    async def take(self, creator: Actor, project: UUID, *categories: str) -> None:
        """Slots of the first suggestion in each of these categories."""
        found = msgspec.json.decode((await suggestions.find_all(self.tx, creator, project)).body)
        chosen = [next(each["id"] for each in found if each["category"]["name"] == name) for name in categories]
        body = SuggestedSlotsIn.model_validate({"suggestionIds": chosen})
        await suggestions.take(self.tx, creator, project, body)

    async def invite(self, creator: Actor, slot: UUID, *buyers: Actor) -> None:
        """Who may see a private slot."""
        await slots.invite(self.tx, creator, slot, [buyer.id for buyer in buyers], IfMatch(None))

    async def catalogue(self, merchant: Actor, file_name: str, sku_ids: Iterable[str]) -> dict[str, UUID]:
        """The SKUs of a CSV file, by their external id; in the file's order they get these ids."""
        with ids.given(*map(UUID, sku_ids)):
            async with catalogues.checked(BytesIO(_content(file_name))) as catalogue:
                await catalogues.load(self.tx, merchant, catalogue, dry_run=False)
        listed = msgspec.json.decode((await skus.find_all(self.tx, merchant, Page())).body)
        return {sku["externalId"]: UUID(sku["id"]) for sku in listed}

    async def bid(self, buyer: Actor, slot: UUID, amount: str, objective: str, *bid_id: str, **fields: Any) -> UUID:
        """A bid, or on a PG/Reservation slot a reservation."""
        body = BidIn.model_validate({"amount": Decimal(amount), "objective": objective, **fields})
        with ids.given(*map(UUID, bid_id)):
            return _id(await bidding.place(self.tx, buyer, slot, body))

    async def terms(self, actor: Actor, bid: UUID, base_version: int, amount: str, **fields: Any) -> None:
        """New terms."""
        body = {"baseVersion": base_version, "amount": Decimal(amount), **fields}
        await bidding.new_terms(self.tx, actor, bid, TermsIn.model_validate(body))

    async def say(self, actor: Actor, bid: UUID, text: str) -> None:
        """A comment."""
        await comments.create(self.tx, actor, bid, text)

    async def approve(self, bid: UUID, *actors: Actor) -> None:
        """The approvals, in this order."""
        for actor in actors:
            await bidding.approve(self.tx, actor, bid, ApproveIn())

    async def decline(self, creator: Actor, bid: UUID, reason: str, note: str) -> None:
        """The creator's no."""
        await bidding.decline(self.tx, creator, bid, DeclineIn.model_validate({"reason": reason, "note": note}))

    async def withdraw(self, buyer: Actor, bid: UUID, note: str) -> None:
        """The buyer takes the bid back."""
        await bidding.withdraw(self.tx, buyer, bid, WithdrawIn.model_validate({"note": note}))

    async def commit(self, buyer: Actor, bid: UUID, *commitment_id: str) -> UUID:
        """The spend."""
        with ids.given(*map(UUID, commitment_id)):
            return _id(await bidding.commit(self.tx, buyer, bid, CommitIn()))

    async def deliver(self, creator: Actor, commitment: UUID, **fields: Any) -> None:
        """The placement is there."""
        await fulfilment.deliver(self.tx, creator, commitment, DeliverIn.model_validate(fields))

    async def confirm(self, buyer: Actor, commitment: UUID) -> None:
        """The buyer agrees."""
        await fulfilment.confirm(self.tx, buyer, commitment, ConfirmIn())

    async def reject(self, buyer: Actor, commitment: UUID, reason: str) -> None:
        """The buyer does not."""
        await fulfilment.reject(self.tx, buyer, commitment, ReasonIn.model_validate({"reason": reason}))

    async def cancel(self, commitment: UUID, reason: str, *actors: Actor) -> None:
        """The first asks, the second consents."""
        for actor in actors:
            await fulfilment.cancel(self.tx, actor, commitment, ReasonIn.model_validate({"reason": reason}))
