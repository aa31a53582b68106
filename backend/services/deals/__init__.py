"""Lock, decide, save: what every change of a deal shares (house.md).

`locking` takes the rows, the decisions are pure (`policies`), `saving` writes what a decision means, and `ending`
what it means for others. `following` writes what a new draft of the script means for deals.
"""

from backend.services.deals.ending import (
    close_for_party,
    close_others,
    due,
    expire_slot,
    remove_slots,
    write_confirmed,
    write_overdue,
)
from backend.services.deals.following import Fate, follow_draft, lock_named
from backend.services.deals.locking import (
    PLACEMENT,
    SITUATION,
    Locked,
    LockedCommitment,
    lock,
    lock_commitment,
    placement,
    situation,
)
from backend.services.deals.saving import (
    SYSTEM,
    Who,
    complete,
    end,
    end_bid,
    follow_scene,
    hold_until,
    release,
    save_bid,
    save_commitment,
    set_completion,
    set_hold_end,
    take_hold,
)

__all__ = [
    "PLACEMENT",
    "SITUATION",
    "SYSTEM",
    "Fate",
    "Locked",
    "LockedCommitment",
    "Who",
    "close_for_party",
    "close_others",
    "complete",
    "due",
    "end",
    "end_bid",
    "expire_slot",
    "follow_draft",
    "follow_scene",
    "hold_until",
    "lock",
    "lock_commitment",
    "lock_named",
    "placement",
    "release",
    "remove_slots",
    "save_bid",
    "save_commitment",
    "set_completion",
    "set_hold_end",
    "situation",
    "take_hold",
    "write_confirmed",
    "write_overdue",
]
