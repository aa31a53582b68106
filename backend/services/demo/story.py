"""The story of the demo, told in the order in which it happens; numbers of days count from today."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from backend.policies.users import Actor
from backend.schemas.examples import demo
from backend.services.demo import keys, scripts
from backend.services.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Cast:
    """The people on stage, the merchant's products by their external id, the slots by a short name."""

    cleo: Actor
    ada: Actor
    bo: Actor
    mo: Actor
    gil: Actor
    skus: dict[str, UUID]
    slots: dict[str, UUID] = field(default_factory=dict)

    def named(self, sku: str) -> dict[str, list[str]]:
        """The field that names one SKU."""
        return {"skuIds": [str(self.skus[sku])]}


async def play(stage: Stage) -> None:
    """All of it."""
    cast = await _people_come(stage)
    stage.on(-120)
    cast.slots.update(await scripts.night_train(stage, cast.cleo))
    await _a_late_delivery(stage, cast)
    stage.on(-101)
    await scripts.night_train_again(stage, cast.cleo, cast.slots)
    stage.on(-100)
    cast.slots.update(await scripts.harbour_lights(stage, cast.cleo, [cast.ada, cast.bo, cast.mo]))
    await _a_completed_placement(stage, cast)
    await _a_cancelled_deal(stage, cast)
    await _spending(stage, cast)
    await _endings(stage, cast)
    stage.on(-6)
    await scripts.paper_boats(stage, cast.cleo)
    cast.slots.update(await scripts.the_long_table(stage, cast.cleo, [cast.mo]))
    await _these_days(stage, cast)
    stage.on(0)
    await keys.hand_out(stage.tx, cast.gil)


async def _people_come(stage: Stage) -> Cast:
    stage.on(-130)
    await stage.person(demo.OPERATOR)
    cleo = await stage.person(demo.CREATOR)
    stage.on(-126)
    ada, bo = await stage.person(demo.ADVERTISER), await stage.person(demo.RIVAL)
    stage.on(-125)
    mo = await stage.person(demo.MERCHANT)
    await stage.asks(mo, minIntegrationFee=2000, eligibilityRules=["No alcohol in the same scene"], allowMatching=True)
    gil = await stage.person(demo.NEWCOMER)
    return Cast(cleo, ada, bo, mo, gil, await stage.catalogue(mo, "catalogue.csv", demo.SKUS))


async def _a_late_delivery(stage: Stage, cast: Cast) -> None:
    """Committed long ago, then the scene was cut, and nothing came: the buyer may cancel alone."""
    stage.on(-108)
    bid = await stage.bid(cast.bo, cast.slots["garage"], "6500", "Be seen from the train")
    stage.on(-107)
    await stage.approve(bid, cast.cleo, cast.bo)
    stage.on(-106)
    await stage.commit(cast.bo, bid, demo.COMMITMENT_OVERDUE)


async def _a_completed_placement(stage: Stage, cast: Cast) -> None:
    """Two buyers, three versions of the terms, a delivery sent back, and a placement in the end."""
    slot = cast.slots["thermos"]
    stage.on(-90)
    await stage.bid(cast.ada, slot, "12000", "Warmth, for a coffee brand in winter")
    stage.on(-89)
    bid = await stage.bid(
        cast.mo,
        slot,
        "13000",
        "Show that it keeps coffee hot all night",
        demo.BID_DONE,
        message="The steam is the point for us. Could the cup stay in frame?",
        **cast.named("MO-1001"),
    )
    stage.on(-88)
    await stage.say(cast.cleo, bid, "The cup stays. The scene is long, so we would ask for a little more.")
    await stage.terms(cast.cleo, bid, 1, "16000")
    stage.on(-87)
    await stage.terms(cast.mo, bid, 2, "14500", amountTerms="USD 14,500.00, half of it on delivery")
    await stage.approve(bid, cast.mo)
    stage.on(-86)
    await stage.approve(bid, cast.cleo)
    stage.on(-85)
    commitment = await stage.commit(cast.mo, bid)
    stage.on(-62)
    await stage.deliver(cast.cleo, commitment, evidenceUrl="https://video.demo.example.com/night-train/scene-3-cut-1")
    stage.on(-60)
    await stage.reject(cast.mo, commitment, "The cup leaves the frame after two seconds.")
    stage.on(-57)
    await stage.deliver(
        cast.cleo,
        commitment,
        evidenceUrl="https://video.demo.example.com/night-train/scene-3-cut-2",
        note="The longer take is in.",
    )
    stage.on(-54)
    await stage.confirm(cast.mo, commitment)


async def _a_cancelled_deal(stage: Stage, cast: Cast) -> None:
    """Both sides let go of it; the slot is for sale again, and is sold to another (`_spending`)."""
    stage.on(-50)
    bid = await stage.bid(cast.mo, cast.slots["coat"], "8500", "Dress the lead", **cast.named("MO-1003"))
    stage.on(-49)
    await stage.approve(bid, cast.cleo, cast.mo)
    stage.on(-48)
    commitment = await stage.commit(cast.mo, bid)
    stage.on(-42)
    await stage.cancel(commitment, "The platform scene is shot in summer now.", cast.cleo, cast.mo)


async def _spending(stage: Stage, cast: Cast) -> None:
    """Two deliveries that wait for their confirmation, and one deal whose shooting is ahead."""
    stage.on(-25)
    water = await stage.bid(cast.mo, cast.slots["water"], "3200", "Be on the last table", **cast.named("MO-1004"))
    stage.on(-24)
    await stage.approve(water, cast.cleo, cast.mo)
    delivery = await stage.commit(cast.mo, water, demo.COMMITMENT_DELIVERED)
    stage.on(-23)
    coat = await stage.bid(cast.ada, cast.slots["coat"], "8200", "A coat for people who wait on platforms")
    stage.on(-22)
    await stage.approve(coat, cast.cleo, cast.ada)
    worn = await stage.commit(cast.ada, coat, demo.COMMITMENT_TO_REJECT)
    stage.on(-20)
    await stage.bid(cast.ada, cast.slots["lighthouse"], "4200", "A light at sea, for an insurer")  # runs out unanswered
    stage.on(-13)
    watch = await stage.bid(cast.mo, cast.slots["watch"], "32000", "Carry the plot", **cast.named("MO-1002"))
    stage.on(-12)
    await stage.approve(watch, cast.cleo, cast.mo)
    stage.on(-11)
    await stage.commit(cast.mo, watch, demo.COMMITMENT)
    stage.on(-10)
    await stage.deliver(cast.cleo, delivery, note="In the dining car, third shot.")
    await stage.deliver(cast.cleo, worn, note="On the platform, in the summer light.")


async def _endings(stage: Stage, cast: Cast) -> None:
    """What else can become of a bid."""
    stage.on(-9)
    await stage.bid(cast.bo, cast.slots["poster"], "5500", "A poster for a ferry line")  # its hold runs out
    cheap = await stage.bid(cast.bo, cast.slots["laptop"], "9000", "An office nobody hates")
    stage.on(-8)
    await stage.decline(cast.cleo, cheap, "price", "We have had offers above eleven thousand before.")
    sorry = await stage.bid(cast.ada, cast.slots["radio"], "7000", "A line about a radio station")
    stage.on(-7)
    await stage.withdraw(cast.ada, sorry, "Our client has moved the budget to spring.")


async def _these_days(stage: Stage, cast: Cast) -> None:
    """What is open now: a talk about terms, a sealed rivalry, reservations, a deal that waits to be committed."""
    stage.on(-5)
    talk = await stage.bid(cast.ada, cast.slots["laptop"], "9500", "Quiet technology for a quiet inspector", demo.BID)
    stage.on(-4.5)
    first = await stage.bid(cast.ada, cast.slots["raincoat"], "11000", "Yellow is our colour", demo.BID_TO_DECLINE)
    stage.on(-4)
    await stage.say(cast.cleo, talk, "We like it. It is open in two scenes, though.")
    await stage.terms(cast.cleo, talk, 1, "11500")
    stage.on(-3.5)
    second = await stage.bid(cast.bo, cast.slots["raincoat"], "12500", "Make the raincoat a harbour icon")
    stage.on(-3)
    await stage.bid(cast.mo, cast.slots["raincoat"], "10500", "Our own raincoat", **cast.named("MO-1005"))
    await stage.say(cast.ada, first, "We could add a small campaign around the first episode.")
    stage.on(-2.8)
    lemon = await stage.bid(
        cast.mo, cast.slots["lemon"], "6000", "Say it once, and mean it", demo.BID_TO_COMMIT, **cast.named("MO-1010")
    )
    stage.on(-2.6)
    await stage.bid(
        cast.mo, cast.slots["bowl"], "4000", "Forty of them on one table", demo.BID_TO_WITHDRAW, **cast.named("MO-1008")
    )
    stage.on(-2)
    await stage.approve(lemon, cast.cleo, cast.mo)
    stage.on(-1.5)
    await stage.approve(second, cast.cleo)
    stage.on(-1)
    boots = await stage.bid(cast.mo, cast.slots["boots"], "2500", "Boots that are too new", **cast.named("MO-1006"))
    await stage.approve(boots, cast.cleo)
    stage.on(-0.5)
    await stage.bid(
        cast.bo,
        cast.slots["blender"],
        "3300",
        "One stove, one blender",
        demo.BID_TO_APPROVE,
        message="Does it survive?",
    )
