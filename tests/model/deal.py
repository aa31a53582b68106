"""R10's model: deals.md once more, small and pure, written without a look at the code that it judges.

Each action answers the status and code that HTTP must answer, and changes the model when that is a success. Time is in
days; what has run out is ended before anything is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field

HOLD, BID, COMMIT, DELIVER, CONFIRM, COOLDOWN = 3.0, 14.0, 7.0, 90.0, 14.0, 1.0
LIVE = ("Pending", "AwaitingFinalApproval", "Accepted")
Answer = tuple[int, str | None]


@dataclass(slots=True)
class Bid:
    slot: int
    buyer: int
    amount: int
    expires: float
    status: str = "Pending"
    version: int = 1
    approvals: set[str] = field(default_factory=set)
    reason: str | None = None
    hold_ended: float | None = None
    placement: str | None = None  # the commitment's status
    deliver_by: float = 0
    confirm_by: float = 0
    cancel_asked: str | None = None


@dataclass(slots=True)
class Slot:
    modality: str
    floor: int = 100
    status: str = "Available"
    holder: int | None = None
    hold_end: float | None = None
    removed: bool = False


@dataclass(slots=True)
class Market:
    """Slots and bids, by number."""

    now: float = 0
    slots: list[Slot] = field(default_factory=list)
    bids: list[Bid] = field(default_factory=list)

    def advance(self, days: float) -> None:
        """Time passes, and what runs out ends at its own instant."""
        self.now += days
        for number, bid in enumerate(self.bids):
            slot = self.slots[bid.slot]
            holds = slot.holder == number
            if bid.status in LIVE:
                if holds and slot.hold_end is not None and slot.hold_end <= self.now:
                    self._end(number, "hold_expired", slot.hold_end)
                elif bid.expires <= self.now:
                    self._end(number, "expired", bid.expires)
            if bid.placement == "Delivered" and bid.confirm_by <= self.now:
                self._complete(bid)

    def _end(self, number: int, reason: str, at: float) -> None:
        bid = self.bids[number]
        slot = self.slots[bid.slot]
        bid.status, bid.reason = "Declined", reason
        if slot.holder == number:
            slot.status, slot.holder, slot.hold_end = "Available", None, None
            bid.hold_ended = at

    def _end_others(self, number: int, reason: str) -> None:
        for other, bid in enumerate(self.bids):
            if other != number and bid.slot == self.bids[number].slot and bid.status in LIVE:
                self._end(other, reason, self.now)

    def _complete(self, bid: Bid) -> None:
        bid.placement = self.slots[bid.slot].status = "Completed"
        bid.cancel_asked = None

    def _take(self, number: int) -> None:
        slot = self.slots[self.bids[number].slot]
        slot.status, slot.holder = "Locked", number
        slot.hold_end = min(self.now + HOLD, self.bids[number].expires)

    def place(self, number: int, buyer: int, amount: int) -> Answer:
        slot = self.slots[number]
        mine = [bid for bid in self.bids if (bid.slot, bid.buyer) == (number, buyer)]
        reserved = slot.modality == "PG/Reservation"
        if slot.removed:
            return 404, "not_found"
        if slot.status == "Completed" or (slot.holder is not None and self.bids[slot.holder].status == "Committed"):
            return 409, "slot_sold"
        if any(bid.status != "Declined" for bid in mine):
            return 409, "already_bid"
        if reserved and slot.status == "Locked":
            return 409, "slot_locked"
        if amount < slot.floor:
            return 409, "below_floor"
        if reserved and any(bid.hold_ended is not None and bid.hold_ended > self.now - COOLDOWN for bid in mine):
            return 409, "hold_cooldown"
        self.bids.append(Bid(number, buyer, amount, self.now + BID))
        if reserved:
            self._take(len(self.bids) - 1)
        return 201, None

    def terms(self, number: int, base: int, amount: int) -> Answer:
        bid = self.bids[number]
        slot = self.slots[bid.slot]
        if bid.status not in ("Pending", "AwaitingFinalApproval"):
            return 409, "wrong_state"
        if base != bid.version:
            return 409, "terms_changed"
        if amount < slot.floor:
            return 409, "below_floor"
        bid.version, bid.amount, bid.status, bid.expires = bid.version + 1, amount, "Pending", self.now + BID
        bid.approvals.clear()
        if slot.holder == number and slot.modality == "Private Auction":
            slot.status, slot.holder, slot.hold_end = "Available", None, None
        return 200, None

    def approve(self, number: int, side: str, version: int) -> Answer:
        bid = self.bids[number]
        slot = self.slots[bid.slot]
        if bid.status != "Declined" and version != bid.version:
            return 409, "terms_changed"
        if bid.status != "Declined" and side in bid.approvals:
            return 200, None
        if bid.status not in ("Pending", "AwaitingFinalApproval"):
            return 409, "wrong_state"
        if side == "creator" and slot.holder not in (None, number):
            return 409, "slot_locked"
        if side == "creator" and slot.holder is None:
            self._take(number)
        bid.approvals.add(side)
        bid.status = "AwaitingFinalApproval" if len(bid.approvals) == 1 else "Accepted"
        if bid.status == "Accepted":
            slot.hold_end = self.now + COMMIT
            bid.expires = max(bid.expires, slot.hold_end)
        return 200, None

    def end(self, number: int, reason: str) -> Answer:
        """Decline for a price, or withdraw."""
        bid = self.bids[number]
        if bid.status == "Declined" and bid.reason == reason:
            return 200, None
        if bid.status not in LIVE:
            return 409, "wrong_state"
        self._end(number, reason, self.now)
        return 200, None

    def commit(self, number: int) -> Answer:
        bid = self.bids[number]
        if bid.status == "Committed":
            return 201, None
        if bid.status != "Accepted":
            return 409, "wrong_state"
        bid.status, bid.placement, bid.deliver_by = "Committed", "Active", self.now + DELIVER
        self.slots[bid.slot].hold_end = None
        self._end_others(number, "slot_sold")
        return 201, None

    def fulfil(self, number: int, action: str) -> Answer:
        """Deliver, confirm or reject."""
        bid = self.bids[number]
        source, target = {
            "deliver": ("Active", "Delivered"),
            "confirm": ("Delivered", "Completed"),
            "reject": ("Delivered", "Active"),
        }[action]
        if bid.placement == target and action != "reject":
            return 200, None
        if bid.placement != source:
            return 409, "wrong_state"
        bid.cancel_asked = None
        bid.placement = target
        if action == "deliver":
            bid.confirm_by = self.now + CONFIRM
        if action == "confirm":
            self._complete(bid)
        return 200, None

    def cancel(self, number: int, side: str) -> Answer:
        """By both sides, by the buyer when nothing came in time, or by an operator."""
        bid = self.bids[number]
        if bid.placement == "Cancelled":
            return 200, None
        if bid.placement not in ("Active", "Delivered"):
            return 409, "wrong_state"
        late = bid.placement == "Active" and bid.deliver_by <= self.now
        alone = side == "operator" or (side == "buyer" and late)
        if bid.cancel_asked in (None, side) and not alone:
            bid.cancel_asked = side
            return 200, None
        bid.placement, bid.cancel_asked = "Cancelled", None
        self._end(number, "cancelled", self.now)
        bid.hold_ended = None  # a cooldown is for holds that ended uncommitted
        return 200, None

    def remove(self, number: int) -> Answer:
        slot = self.slots[number]
        if slot.removed:
            return 404, "not_found"
        if slot.status == "Locked":
            return 409, "slot_held"
        for other, bid in enumerate(self.bids):
            if bid.slot == number and bid.status in LIVE:
                self._end(other, "slot_removed", self.now)
        slot.removed = True
        return 204, None

    def set_floor(self, number: int, floor: int) -> Answer:
        slot = self.slots[number]
        if slot.removed:
            return 404, "not_found"
        if slot.holder is not None and self.bids[slot.holder].status == "Committed":
            return 409, "slot_sold"
        if slot.status != "Available":
            return 409, "slot_locked"
        slot.floor = floor
        return 200, None
