"""A FHIR R4 Claim as a canonical claim, and its faults at the places where they stand in the resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from fraud.errors import Fault
from fraud.scoring.shapes import ClaimBundle
from fraud.web.bodies.faults import checked
from fraud.web.bodies.problems import FAULTS, Problem
from fraud.web.bodies.shapes import ClaimBody, bundle_of
from fraud.web.exchange.fhir_shapes import expression, structure
from fraud.web.exchange.judging import Beside, party
from fraud.web.exchange.reading import clean, plain_code, pseudonymous

__all__ = ["Submitted", "read_claim"]

_SEX = {"male": "male", "female": "female"}
_KINDS = {"prov": "hospital", "pharm": "pharmacy", "pharmacy": "pharmacy", "clinic": "clinic"}
# Words in codes of `subType` and places of service (CMS) that say what kind of visit it was.
_SUBTYPES = (("inpatient", "inpatient"), ("outpatient", "outpatient"), ("emergency", "emergency"))
_SHORT = {"ip": "inpatient", "imp": "inpatient", "op": "outpatient", "amb": "outpatient", "emer": "emergency"}
_PLACES = {"21": "inpatient", "51": "inpatient", "61": "inpatient", "23": "emergency", "01": "pharmacy"}
_ADMITTING = ("admitting", "admission", "ad")
_YES, _NO = ("y", "yes"), ("n", "no")


@dataclass(frozen=True)
class Submitted:
    """A claim that came as a resource; `patient` is the reference to echo, `keeps` whether it is a claim for money."""

    bundle: ClaimBundle
    beside: Beside
    resource: Mapping[str, Any]
    keeps: bool


def read_claim(resource: Any, key: bytes | None) -> Submitted:
    """The claim; raises `Problem` that names every fault of the resource."""
    kept, faults = structure(resource)
    reading = _Reading(kept, key)
    bundle = _checked(reading, faults)
    if faults or bundle is None:
        count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise Problem("faults", f"The Claim has {count}.", faults)
    keeps = kept.get("use") == "claim" and kept.get("status") == "active"
    return Submitted(bundle, reading.beside(bundle), kept, keeps)


def _checked(reading: _Reading, faults: list[Fault]) -> ClaimBundle | None:
    """The canonical claim; adds to the faults what its check finds beyond those of the structure."""
    body = reading.body()
    known = [f.where for f in faults]
    faults += [f for f in reading.faults if f.where not in known]
    try:
        return bundle_of(checked(ClaimBody, body))
    except Problem as problem:
        told = [f.where for f in faults]
        for fault in (reading.placed(f) for f in problem.faults):
            if not any(_overlaps(fault.where, where) for where in told):
                faults.append(fault)
        return None


def _overlaps(one: str, other: str) -> bool:
    """Whether a place lies within another: what is at fault already is not missing as well."""
    return one == other or one.startswith((other + ".", other + "[")) or other.startswith((one + ".", one + "["))


@dataclass
class _Reading:
    """A resource whose structure holds, on its way to a claim. `origins` tell where a value came from."""

    resource: Mapping[str, Any]
    key: bytes | None
    faults: list[Fault] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The claim in the canonical columns."""
        lines = [self._line(n, i) for n, i in self._each("item")]
        return {
            "claim": self._claim(lines),
            "lines": lines,
            "diagnoses": [self._diagnosis(n, d) for n, d in self._each("diagnosis")],
            "procedures": [self._procedure(n, p) for n, p in self._each("procedure")],
        }

    def placed(self, fault: Fault) -> Fault:
        """A fault of the claim at the place of the resource that the value came from."""
        where = self.origins.get(fault.where, "Claim")
        return Fault(where, fault.code, fault.detail, examples=fault.examples)

    def _from(self, pointer: str, *path: str | int) -> None:
        self.origins[pointer] = expression(path)

    def _each(self, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Entries with their places; of what was faulty only the place is left."""
        return ((n, e if isinstance(e, Mapping) else {}) for n, e in enumerate(self.resource.get(name) or ()))

    # --- the claim ----------------------------------------------------------------------------------------

    def _claim(self, lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        get = self.resource.get
        begin, end = self._stay()
        created = _moment(get("created"))
        kind = self._visit_type(begin, end)
        total = _value(get("total"))
        known = [r["amount"] for r in lines if r["amount"] is not None]
        total = (round(sum(known), 2) if known else None) if total is None else total
        start = begin or created
        for column, path in _ORIGINS.items():
            self._from(f"/claim/{column}", *path)
        return {
            "claim_id": self._claim_id(),
            "patient_id": self._patient_id(),
            "provider_id": self._party_id("provider"),
            "physician_id": self._physician_id(),
            "visit_type": kind,
            "admitted_at": _iso(start),
            "discharged_at": _iso(end if kind == "inpatient" and end else start),
            "settled_at": _iso(max((t for t in (created, start) if t), default=None)),
            "primary_diagnosis": self._primary(),
            "total_amount": total,
            # A claim says what is asked for; what the fund will pay, nobody knows yet.
            "fund_amount": total,
            "currency": (get("total") or {}).get("currency"),
        }

    def _claim_id(self) -> str | None:
        identifiers = [i for _, i in self._each("identifier")]
        official = sorted(identifiers, key=lambda i: i.get("use") not in ("official", "usual"))
        named = next((str(i["value"]) for i in official if i.get("value")), None)
        return named or self.resource.get("id")

    def _patient_id(self) -> str | None:
        number = self._party_id("patient")
        person = None if number is None else pseudonymous(number, self.key)
        if number is not None and person is None:
            self.faults.append(Fault(expression(("patient",)), "personal", FAULTS["personal"]))
            # Nothing is missing: it was there and must not go any further.
            return "withheld"
        return person

    def _stay(self) -> tuple[datetime | None, datetime | None]:
        """When it began and ended: the admission, or else what is billed for, or else the services themselves."""
        admission = self._admission()
        if admission is not None:
            return _moment(admission.get("start")), _moment(admission.get("end"))
        billed = self.resource.get("billablePeriod") or {}
        begin, end = _moment(billed.get("start")), _moment(billed.get("end"))
        if begin is None:
            begin = min((t for _, i in self._each("item") if (t := _serviced(i))), default=None)
        return begin, end

    def _admission(self) -> Mapping[str, Any] | None:
        for _, info in self._each("supportingInfo"):
            if "admissionperiod" in _codes(info.get("category")) and info.get("timingPeriod"):
                return dict(info["timingPeriod"])
        return None

    def _visit_type(self, begin: datetime | None, end: datetime | None) -> str:
        kinds = _codes(self.resource.get("type"))
        if "pharmacy" in kinds:
            return "pharmacy"
        for code in _codes(self.resource.get("subType")):
            known = _SHORT.get(code) or next((kind for word, kind in _SUBTYPES if word in code), None)
            if known is not None:
                return known
        places = (c for _, i in self._each("item") for c in _codes(i.get("locationCodeableConcept")))
        if (place := next((p for p in places if p in _PLACES), None)) is not None:
            return _PLACES[place]
        stays = self._admission() is not None or bool(begin and end and end.date() > begin.date())
        return "inpatient" if "institutional" in kinds and stays else "outpatient"

    def _primary(self) -> str | None:
        """The code of the diagnosis that is called principal, or else of the first."""
        given = sorted(self._each("diagnosis"), key=lambda d: d[1].get("sequence") or 0)
        named = [d for _, d in given if any("principal" in c for t in d.get("type") or () for c in _codes(t))]
        first = named[0] if named else given[0][1] if given else None
        return None if first is None else plain_code(self._code_of(first, "diagnosis"))

    # --- items --------------------------------------------------------------------------------------------

    def _line(self, n: int, item: Mapping[str, Any]) -> dict[str, Any]:
        for column, path in _LINE_ORIGINS.items():
            self._from(f"/lines/{n}/{column}", "item", n, *path)
        quantity, price = _value(item.get("quantity")), _value(item.get("unitPrice"))
        net, factor = _value(item.get("net")), item.get("factor")
        units = 1.0 if quantity is None else quantity
        if net is None and price is not None:
            net = round(price * units * (1.0 if factor is None else factor), 4)
        concept = item.get("productOrService")
        at = _iso(_serviced(item))
        return {
            "line_no": item.get("sequence"),
            "item_code": _first_code(concept),
            "item_name": _name(concept),
            "quantity": units,
            "unit_price": price,
            "amount": net,
            "service_at": at,
            "days_supply": self._days_supply(item),
            "physician_id": self._member(item.get("careTeamSequence")),
        }

    def _days_supply(self, item: Mapping[str, Any]) -> float | None:
        linked = set(item.get("informationSequence") or ())
        for _, info in self._each("supportingInfo"):
            if "dayssupply" in _codes(info.get("category")) and (not linked or info.get("sequence") in linked):
                return _value(info.get("valueQuantity"))
        return None

    def _diagnosis(self, n: int, entry: Mapping[str, Any]) -> dict[str, Any]:
        self._from(f"/diagnoses/{n}/position", "diagnosis", n, "sequence")
        self._from(f"/diagnoses/{n}/code", "diagnosis", n, "diagnosisCodeableConcept")
        admitting = any(c in _ADMITTING for t in entry.get("type") or () for c in _codes(t))
        present = _codes(entry.get("onAdmission"))
        return {
            "position": entry.get("sequence"),
            "code": plain_code(self._code_of(entry, "diagnosis")),
            "kind": "admission" if admitting else "discharge",
            "present_on_admission": True if present & set(_YES) else False if present & set(_NO) else None,
        }

    def _procedure(self, n: int, entry: Mapping[str, Any]) -> dict[str, Any]:
        self._from(f"/procedures/{n}/position", "procedure", n, "sequence")
        self._from(f"/procedures/{n}/code", "procedure", n, "procedureCodeableConcept")
        self._from(f"/procedures/{n}/performed_at", "procedure", n, "date")
        return {
            "position": entry.get("sequence"),
            "code": plain_code(self._code_of(entry, "procedure")),
            "performed_at": _iso(_moment(entry.get("date"))),
        }

    def _code_of(self, entry: Mapping[str, Any], name: str) -> str | None:
        """The code of a diagnosis or procedure, given at once or by a resource within this one."""
        concept = entry.get(f"{name}CodeableConcept")
        if concept is None:
            concept = (self._contained(entry.get(f"{name}Reference")) or {}).get("code")
        return _first_code(concept)

    # --- parties ------------------------------------------------------------------------------------------

    def beside(self, bundle: ClaimBundle) -> Beside:
        """What the resources within this one say of patient, institution and physician."""
        patient, provider = (self._contained(self.resource.get(n)) or {} for n in ("patient", "provider"))
        claim = bundle.claim
        born = _moment(patient.get("birthDate"))
        physician = party("physicians", physician_id=claim["physician_id"], provider_id=claim["provider_id"])
        return Beside(
            patient=party(
                "patients",
                patient_id=claim["patient_id"],
                birth_date=born.date() if born else None,
                sex=_SEX.get(str(patient.get("gender"))),
            ),
            provider=party("providers", provider_id=claim["provider_id"], kind=_kind(provider), name=_plain(provider)),
            physician=physician if claim["physician_id"] else None,
        )

    def _contained(self, reference: Mapping[str, Any] | None) -> dict[str, Any] | None:
        address = (reference or {}).get("reference")
        if not isinstance(address, str) or not address.startswith("#"):
            return None
        return next((dict(r) for _, r in self._each("contained") if r.get("id") == address[1:]), None)

    def _party_id(self, name: str) -> str | None:
        return self._id_of(self.resource.get(name))

    def _id_of(self, reference: Mapping[str, Any] | None) -> str | None:
        """What somebody is called: by a business identifier, or else by the id of the resource."""
        if not reference:
            return None
        own = self._contained(reference) or {}
        for identifier in (reference.get("identifier"), *(own.get("identifier") or ())):
            if identifier and identifier.get("value"):
                return str(identifier["value"])
        address = str(reference.get("reference") or "").split("/_history/")[0]
        return address.removeprefix("#").rsplit("/", 1)[-1].removeprefix("urn:uuid:") or None

    def _physician_id(self) -> str | None:
        """Who is responsible, or else the first of the team, or a provider who is a person."""
        team = sorted(self._each("careTeam"), key=lambda m: (not m[1].get("responsible"), m[1].get("sequence") or 0))
        if team:
            return self._id_of(team[0][1].get("provider"))
        reference = self.resource.get("provider") or {}
        kind = (self._contained(reference) or {}).get("resourceType") or str(reference.get("reference") or "")
        return self._id_of(reference) if kind.startswith("Practitioner") else None

    def _member(self, sequences: Iterable[int] | None) -> str | None:
        wanted = set(sequences or ())
        found = [m for _, m in self._each("careTeam") if m.get("sequence") in wanted]
        return self._id_of(found[0].get("provider")) if found else None


_ORIGINS: Mapping[str, tuple[str, ...]] = {
    "claim_id": ("identifier",),
    "patient_id": ("patient",),
    "provider_id": ("provider",),
    "physician_id": ("careTeam",),
    "admitted_at": ("billablePeriod", "start"),
    "discharged_at": ("billablePeriod", "end"),
    "settled_at": ("created",),
    "primary_diagnosis": ("diagnosis",),
    "total_amount": ("total", "value"),
    "fund_amount": ("total", "value"),
    "currency": ("total", "currency"),
}
_LINE_ORIGINS: Mapping[str, tuple[str, ...]] = {
    "line_no": ("sequence",),
    "item_code": ("productOrService",),
    "quantity": ("quantity", "value"),
    "unit_price": ("unitPrice", "value"),
    "amount": ("net", "value"),
    "service_at": ("servicedDate",),
    "days_supply": ("informationSequence",),
    "physician_id": ("careTeamSequence",),
}


# --- values -----------------------------------------------------------------------------------------------


def _moment(text: object) -> datetime | None:
    """Civil time as it is written: an offset is left away, a month or a year stands for its first day."""
    if not isinstance(text, str):
        return None
    day, _, time = text.partition("T")
    year, month, number = ([int(p) for p in day.split("-")] + [1, 1])[:3]
    found = date(year, month, number)
    clock = time[:8] if time[5:6] == ":" else time[:5]
    # A leap second is the last one that a clock here can show.
    return datetime.fromisoformat(f"{found}T{clock.replace(':60', ':59') if clock else '00:00'}")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _serviced(item: Mapping[str, Any]) -> datetime | None:
    return _moment(item.get("servicedDate") or (item.get("servicedPeriod") or {}).get("start"))


def _value(amount: Mapping[str, Any] | None) -> float | None:
    return (amount or {}).get("value")


def _coding(concept: object) -> list[Mapping[str, Any]]:
    """Codes of a concept; what stands in `contained` may have any form."""
    coding = concept.get("coding") if isinstance(concept, Mapping) else None
    return [c for c in coding if isinstance(c, Mapping)] if isinstance(coding, list) else []


def _codes(concept: object) -> set[str]:
    """Codes of a concept, in lower case."""
    return {c["code"].lower() for c in _coding(concept) if isinstance(c.get("code"), str)}


def _first_code(concept: object) -> str | None:
    return next((c["code"] for c in _coding(concept) if isinstance(c.get("code"), str)), None)


def _name(concept: Mapping[str, Any] | None) -> str | None:
    displays = (c.get("display") for c in _coding(concept))
    named = (concept or {}).get("text") or next((d for d in displays if d), None)
    return clean(str(named)) or None if named else None


def _kind(organisation: Mapping[str, Any]) -> str | None:
    kinds = organisation.get("type")
    concepts = kinds if isinstance(kinds, list) else []
    return next((_KINDS[c] for k in concepts for c in _codes(k) if c in _KINDS), None)


def _plain(organisation: Mapping[str, Any]) -> str | None:
    """The name of an institution; persons have theirs in another form, and it is not read."""
    name = organisation.get("name")
    return clean(name) or None if isinstance(name, str) else None
