"""The day and the regions by which a claim, and those whom it names, are judged.

A claim is judged by the day of admission, where the person is insured and where the care was given; a patient,
provider or physician by the day of the snapshot, a patient where insured and a provider where the care is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from fraud.scoring.shapes import ClaimBundle, History, Row
from fraud.signals.frames import FrameBuilder, SignalFrame
from fraud.signals.limits import Occasion, Place
from fraud.signals.relations import ENTITY_KEYS
from fraud.signals.rules import regions_of_claim

__all__ = ["Occasions", "occasion_of_party", "occasions_in_frame", "occasions_of_claim"]

Occasions = Mapping[str, Occasion]
# The place that decides, and the column of the register that names it; of a physician no region is known.
_REGISTERS: Mapping[str, tuple[Place, str]] = {"patient": ("insured", "insured_region"), "provider": ("care", "region")}


def occasion_of_party(entity: str, party: Row | None, day: date) -> Occasion:
    """The occasion of a patient, provider or physician on a snapshot's day."""
    if entity not in _REGISTERS:
        return Occasion(day)
    place, column = _REGISTERS[entity]
    return Occasion(day, {place: (party or {}).get(column)})


def occasions_of_claim(bundle: ClaimBundle, history: History) -> dict[str, Occasion]:
    """Occasions of the claim, its patient, provider and physician, by entity."""
    claim = bundle.claim
    days = {entity: s.day for entity, s in history.snapshots.items()}
    parties = {"patient": history.patient, "provider": history.provider, "physician": history.physician}
    # Whoever has no snapshot would have got one on the first of the month.
    month = _month(claim.get("settled_at") or claim["admitted_at"])
    found = {e: occasion_of_party(e, row, days.get(e, month)) for e, row in parties.items()}
    return {"claim": Occasion(claim["admitted_at"], regions_of_claim(claim)), **found}


def occasions_in_frame(builder: FrameBuilder, frame: SignalFrame, target: str = "claims") -> list[dict[str, Occasion]]:
    """For each row of a frame: its occasion, and for a claim those of everybody whom it names, by entity."""
    if frame.entity == "claim":
        query = _CLAIMS.format(target=target)
        return [_of_row(*row) for row in builder.connection.execute(query).fetchall()]
    regions = _regions(builder, frame)
    days = frame.keys["snapshot"].to_pylist()
    column = _REGISTERS.get(frame.entity, ("", ""))[1]
    who = zip(frame.ids, days, strict=True)
    return [{frame.entity: occasion_of_party(frame.entity, {column: regions.get(i)}, day)} for i, day in who]


# In the order of the claims of a frame.
_CLAIMS = """
    SELECT c.admitted_at, c.insured_region, c.care_region, c.settled_at, a.insured_region, p.region
    FROM "{target}" c
    LEFT JOIN patients a ON a.patient_id = c.patient_id
    LEFT JOIN providers p ON p.provider_id = c.provider_id
    ORDER BY c.claim_id"""


def _of_row(
    admitted_at: datetime,
    insured: str | None,
    care: str | None,
    settled_at: datetime,
    patient: str | None,
    provider: str | None,
) -> dict[str, Occasion]:
    month = _month(settled_at)
    return {
        "claim": Occasion(admitted_at, {"insured": insured, "care": care}),
        "patient": Occasion(month, {"insured": patient}),
        "provider": Occasion(month, {"care": provider}),
        "physician": Occasion(month),
    }


def _regions(builder: FrameBuilder, frame: SignalFrame) -> dict[str, str | None]:
    """Where those of the frame are registered, by id."""
    if frame.entity not in _REGISTERS:
        return {}
    key, column = ENTITY_KEYS[frame.entity], _REGISTERS[frame.entity][1]
    builder.connection.register("judged", frame.keys.select(["entity_id"]))
    query = f'SELECT "{key}", {column} FROM {frame.entity}s SEMI JOIN judged ON judged.entity_id = "{key}"'
    found = dict(builder.connection.execute(query).fetchall())
    builder.connection.unregister("judged")
    return found


def _month(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
