"""Changing bids: each verb locks, decides, saves (`services/deals`)."""

from backend.services.bidding.deciding import approve, commit, decline, withdraw
from backend.services.bidding.placing import place
from backend.services.bidding.terms import new_terms

__all__ = ["approve", "commit", "decline", "new_terms", "place", "withdraw"]
