"""Requests 3101 and 3102 of China's audit interface as canonical claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fraud.errors import Fault, FraudError
from fraud.scoring.shapes import ClaimBundle
from fraud.web.bodies.faults import checked
from fraud.web.bodies.problems import Problem
from fraud.web.bodies.shapes import ClaimBody, bundle_of
from fraud.web.exchange.audit_settings import SCENES, AuditSettings
from fraud.web.exchange.judging import Beside, party
from fraud.web.exchange.reading import Reader, plain_code, pseudonymous

__all__ = ["Audit", "Asked", "Envelope", "UnnamedError", "read_envelope", "read_request"]

# Scenes of each call, as `trig_scen` names them.
SCENES_OF = {"3101": SCENES[:5], "3102": SCENES[5:]}
# Kind of visit of a scene: the last resort where neither med_type nor med_mdtrt_type is known.
_VISIT_OF_SCENE = dict.fromkeys("1267", "outpatient") | dict.fromkeys("34589", "inpatient") | {"10": "pharmacy"}
MSGID_LONGEST = 30


class UnnamedError(FraudError):
    """A number names a person, and there is no key to make a pseudonym of it."""


@dataclass(frozen=True)
class Envelope:
    """What every message says of itself."""

    infno: str
    msgid: str
    sent_at: datetime
    institution: str
    region: str | None
    insured_region: str | None


@dataclass(frozen=True)
class Asked:
    """One visit to be judged: the claim, what came with it, and how the caller names persons and orders.

    `orders` are the `rx_id` of the claim's lines by number.
    """

    bundle: ClaimBundle
    beside: Beside
    patn_id: str
    mdtrt_id: str
    orders: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """A whole request."""

    envelope: Envelope
    visits: tuple[Asked, ...]
    scene: str
    rule_ids: frozenset[str]
    task_id: str | None


def read_envelope(reader: Reader, infno: str) -> tuple[Envelope, Reader | None]:
    """The envelope, and the data in it; faults are the reader's."""
    if reader.text("infno", required=True) not in (infno, None):
        reader.fault("infno", "not_in_set")
    msgid = reader.text("msgid", required=True) or ""
    if len(msgid) > MSGID_LONGEST:
        reader.fault("msgid", "too_long")
    envelope = Envelope(
        infno=infno,
        msgid=msgid,
        sent_at=reader.moment("inf_time", required=True) or datetime.min,
        institution=reader.text("fixmedins_code", required=True) or "",
        region=reader.text("mdtrtarea_admvs"),
        insured_region=reader.text("insuplc_admdvs"),
    )
    given = reader.child("input")
    return envelope, None if given is None else given.child("data")


def read_request(message: Mapping[str, Any], infno: str, settings: AuditSettings) -> tuple[Audit | None, list[Fault]]:
    """The request and its faults: with any fault there is no request.

    Raises:
        UnnamedError: a patient's number names somebody and no key for pseudonyms is set.
    """
    reader = Reader(message, "")
    envelope, data = read_envelope(reader, infno)
    if data is None:
        return None, reader.faults
    scene = data.text("trig_scen", required=True)
    if scene is not None and scene not in SCENES_OF[infno]:
        data.fault("trig_scen", "not_in_set")
    patients = data.children("patient_dtos", required=True)
    reading = _Reading(envelope, scene or "", settings)
    visits = [v for p in patients if (v := reading.visit(p)) is not None]
    if reader.faults:
        return None, reader.faults
    return Audit(envelope, tuple(visits), scene or "", _rule_ids(data), data.text("task_id")), []


def _rule_ids(data: Reader) -> frozenset[str]:
    """Rules that the caller wants to hear of; all of them when none is named."""
    given = data.row.get("rule_ids")
    named = given if isinstance(given, list) else str(given or "").split(",")
    return frozenset(text for n in named if isinstance(n, str) and (text := n.strip()))


@dataclass(frozen=True)
class _Reading:
    """One request being read."""

    envelope: Envelope
    scene: str
    settings: AuditSettings

    def visit(self, patient: Reader) -> Asked | None:
        """The visit that a patient is at; the others of the request are history."""
        number = patient.text("patn_id", required=True)
        current = patient.text("curr_mdtrt_id")
        encounters = patient.children("fsi_encounter_dtos", required=True)
        own = next((e for e in encounters if e.text("mdtrt_id") == current), None) if current else None
        if own is None and len(encounters) == 1 and current is None:
            own = encounters[0]
        if own is None and encounters:
            patient.fault("curr_mdtrt_id", "missing" if current is None else "not_in_set")
        if own is None:
            return None
        # Without a number the rest is read all the same, for its faults.
        return self._asked(
            patient, number or "?", own, [e for e in (*encounters, *_told(patient)) if e.row is not own.row]
        )

    def _asked(self, patient: Reader, number: str, own: Reader, others: Sequence[Reader]) -> Asked | None:
        person = pseudonymous(number, self.settings.key)
        if person is None:
            raise UnnamedError("patn_id has the form of an ID card or telephone number. Set FRAUD_PSEUDONYM_KEY.")
        made = _Claim(self, patient, person, own)
        bundle = made.bundle()
        if bundle is None:
            return None
        beside = Beside(
            claims=tuple(self._earlier(patient, person, others)),
            patient=self._patient(patient, person, own),
            provider=self._provider(own, str(bundle.claim["provider_id"])),
        )
        orders = {n: rx for n, o in made.lines.items() if (rx := o.text("rx_id")) is not None}
        return Asked(bundle, beside, number, str(bundle.claim["claim_id"]), orders)

    def _earlier(self, patient: Reader, person: str, encounters: Iterable[Reader]) -> Iterable[ClaimBundle]:
        """Other visits; one that cannot be read is left out, since the visit at hand does not depend on it."""
        for encounter in encounters:
            alone = Reader(encounter.row, encounter.at)
            found = _Claim(self, Reader(patient.row, patient.at), person, alone, is_past=True).bundle()
            if found is not None:
                yield found

    def _patient(self, patient: Reader, person: str, own: Reader) -> Mapping[str, Any]:
        born = patient.moment("brdy")
        return party(
            "patients",
            patient_id=person,
            birth_date=born.date() if born else None,
            sex=self.settings.word("gend", patient.text("gend")),
            insurance_type=self.settings.word("insutype", own.text("insutype")),
            insured_region=patient.text("poolarea"),
        )

    def _provider(self, own: Reader, provider_id: str) -> Mapping[str, Any]:
        return party(
            "providers",
            provider_id=provider_id,
            name=own.name("medins_name"),
            kind=self.settings.word_by_beginning("medins_type", own.text("medins_type")),
            level=self.settings.word("medins_lv", own.text("medins_lv")),
            region=own.text("medins_admdvs"),
        )


def _told(patient: Reader) -> list[Reader]:
    """Earlier visits that a system sends apart from the others."""
    given = patient.row.get("fsi_his_data_dto")
    if not isinstance(given, Mapping):
        return []
    return Reader(given, f"{patient.at}.fsi_his_data_dto").children("fsi_encounter_dtos")


@dataclass
class _Claim:
    """One encounter on its way to a claim; `is_past` says that it is only history."""

    reading: _Reading
    patient: Reader
    person: str
    own: Reader
    is_past: bool = False
    lines: dict[int, Reader] = field(default_factory=dict)
    diagnoses: list[Reader] = field(default_factory=list)
    procedures: list[Reader] = field(default_factory=list)

    def bundle(self) -> ClaimBundle | None:
        """The claim with its items; None when it has faults."""
        before = len(self.own.faults)
        lines = self._lines()
        body = {
            "claim": self._claim(lines),
            "lines": lines,
            "diagnoses": self._diagnoses(),
            "procedures": self._procedures(),
        }
        try:
            made = bundle_of(checked(ClaimBody, body))
        except Problem as problem:
            told = {f.where for f in self.own.faults}
            self.own.faults += [f for f in map(self._placed, problem.faults) if f.where not in told]
            return None
        return None if len(self.own.faults) > before else made

    def _claim(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        own, envelope = self.own, self.reading.envelope
        kind = self._visit_type()
        begin, end, settled = self._times(kind)
        total = own.number("medfee_sumamt")
        total = sum(r["amount"] for r in lines) if total is None else total
        shares = [own.number(n) for n in ("ownpay_amt", "selfpay_amt")]
        person = None if shares == [None, None] else sum(s or 0.0 for s in shares)
        return {
            "claim_id": own.text("mdtrt_id", required=True),
            "patient_id": self.person,
            "provider_id": own.text("medins_id") or envelope.institution,
            "physician_id": own.text("dr_codg"),
            "department": own.name("dscg_dept_name", "adm_dept_name", "dscg_dept_codg", "adm_dept_codg"),
            "visit_type": kind,
            "admitted_at": _iso(begin),
            "discharged_at": _iso(end),
            "settled_at": _iso(settled),
            "uploaded_at": _iso(envelope.sent_at),
            "primary_diagnosis": plain_code(own.text("dscg_main_dise_codg")) or self._main_code(),
            "insured_region": self.patient.text("poolarea") or envelope.insured_region,
            "care_region": own.text("medins_admdvs") or envelope.region,
            "out_of_area": self.reading.settings.word("out_setl_flag", own.text("out_setl_flag")),
            "settlement_channel": "direct",
            "total_amount": round(total, 2),
            "fund_amount": self._fund(total, person),
            "self_amount": person,
        }

    def _fund(self, total: float, person: float | None) -> float:
        """What the fund pays; before the settlement nobody knows: all but what the person must pay alone."""
        paid = self.own.number("hifp_payamt")
        return round(max(total - (person or 0.0), 0.0) if paid is None else paid, 2)

    def _visit_type(self) -> str:
        word, own = self.reading.settings.word, self.own
        known = word("med_type", own.text("med_type")) or word("med_mdtrt_type", own.text("med_mdtrt_type"))
        return known or _VISIT_OF_SCENE.get(self.reading.scene, "outpatient")

    def _times(self, kind: str) -> tuple[datetime, datetime | None, datetime]:
        """Begin, end and settlement: a visit at hand settles when it is asked about, an earlier one when it ended."""
        sent, own = self.reading.envelope.sent_at, self.own
        begin, end = own.moment("adm_date"), own.moment("dscg_date")
        if begin is None:
            begin = min((t for o in self.lines.values() if (t := o.moment("drord_begn_date"))), default=end or sent)
        if end is not None and end < begin and not self.reading.settings.is_settled(self.reading.scene):
            # Who has not left yet has no day of leaving, whatever a form was filled in with.
            end = None
        if end is None and kind != "inpatient":
            end = begin
        return begin, end, (end or begin) if self.is_past else max(sent, begin)

    # --- items --------------------------------------------------------------------------------------------

    def _lines(self) -> list[dict[str, Any]]:
        orders = self.own.children("fsi_order_dtos")
        made = _without_returns([(o, self._line(o)) for o in orders])
        self.lines = {n: o for n, (o, _) in enumerate(made, 1)}
        return [row | {"line_no": n} for n, (_, row) in enumerate(made, 1)]

    def _line(self, order: Reader) -> dict[str, Any]:
        count, price, amount = order.number("cnt"), order.number("pric"), order.number("sumamt")
        if amount is None and (count is None or price is None):
            order.fault("sumamt", "missing")
        begin = _iso(order.moment("drord_begn_date"))
        return {
            "item_code": order.text("hilist_code", "hosplist_code", required=True),
            "local_item_code": order.text("hosplist_code"),
            "item_name": order.name("hosplist_name", "hilist_name"),
            "quantity": 1.0 if count is None else count,
            "unit_price": price,
            "amount": round((count or 0.0) * (price or 0.0) if amount is None else amount, 4),
            "service_at": begin,
            "ordered_at": begin,
            "physician_id": order.text("drord_dr_codg"),
        }

    def _diagnoses(self) -> list[dict[str, Any]]:
        """Diagnoses in their order, the main one first."""
        given = self.own.children("fsi_diagnose_dtos")
        self.diagnoses = sorted(given, key=lambda d: (d.text("maindise_flag") != "1", d.number("dias_srt_no") or 0))
        word = self.reading.settings.word
        return [
            {
                "position": n,
                "code": plain_code(d.text("dise_codg", required=True)),
                "kind": word("inout_dise_type", d.text("inout_dise_type")),
            }
            for n, d in enumerate(self.diagnoses, 1)
        ]

    def _main_code(self) -> str | None:
        given = self.own.children("fsi_diagnose_dtos")
        main = [d for d in given if d.text("maindise_flag") == "1"]
        return plain_code(main[0].text("dise_codg")) if main else None

    def _procedures(self) -> list[dict[str, Any]]:
        given = self.own.children("fsi_operation_dtos")
        self.procedures = sorted(given, key=lambda p: p.text("main_oprn_flag") != "1")
        return [
            {
                "position": n,
                "code": plain_code(p.text("oprn_code", required=True)),
                "performed_at": _iso(p.moment("oprn_date")),
                "physician_id": p.text("oper_dr_code"),
            }
            for n, p in enumerate(self.procedures, 1)
        ]

    # --- faults -------------------------------------------------------------------------------------------

    def _placed(self, fault: Fault) -> Fault:
        """A fault of the claim at the place of the message that it comes from."""
        _, table, *rest = fault.where.split("/")
        rows: dict[str, Sequence[Reader]] = {
            "lines": list(self.lines.values()),
            "diagnoses": self.diagnoses,
            "procedures": self.procedures,
        }
        column = rest[-1] if rest else ""
        own = rows[table][int(rest[0])] if table in rows and len(rest) > 1 else self.own
        foreign = {**_FOREIGN, **_FOREIGN_OF.get(table, {})}.get(column, column)
        return Fault(f"{own.at}.{foreign}", fault.code, fault.detail, examples=fault.examples)


# Which foreign name stands behind a column: for the places of faults only.
_FOREIGN = {
    "claim_id": "mdtrt_id",
    "provider_id": "medins_id",
    "physician_id": "dr_codg",
    "admitted_at": "adm_date",
    "discharged_at": "dscg_date",
    "settled_at": "adm_date",
    "primary_diagnosis": "dscg_main_dise_codg",
    "insured_region": "poolarea",
    "care_region": "medins_admdvs",
    "total_amount": "medfee_sumamt",
    "fund_amount": "hifp_payamt",
    "self_amount": "selfpay_amt",
    "item_code": "hilist_code",
    "local_item_code": "hosplist_code",
    "quantity": "cnt",
    "unit_price": "pric",
    "amount": "sumamt",
    "service_at": "drord_begn_date",
    "ordered_at": "drord_begn_date",
}
_FOREIGN_OF = {
    "lines": {"physician_id": "drord_dr_codg"},
    "diagnoses": {"code": "dise_codg", "position": "dias_srt_no"},
    "procedures": {"code": "oprn_code", "performed_at": "oprn_date", "physician_id": "oper_dr_code"},
}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


_Billed = list[tuple[Reader, dict[str, Any]]]


def _without_returns(lines: _Billed) -> _Billed:
    """The lines after what was given back was taken off the latest ones of the same item and price.

    Systems write a return as a line below zero; a claim knows what was billed in the end.
    """
    kept = [(o, dict(r)) for o, r in lines if r["amount"] >= 0 and r["quantity"] >= 0]
    for _, back in ((o, r) for o, r in lines if r["amount"] < 0 or r["quantity"] < 0):
        _give_back(kept, (back["item_code"], back["unit_price"]), abs(back["amount"]), abs(back["quantity"]))
    return [(o, r) for o, r in kept if r["quantity"] > 0 or r["amount"] > 0]


def _give_back(
    kept: list[tuple[Reader, dict[str, Any]]], item: tuple[Any, Any], amount: float, quantity: float
) -> None:
    for _, row in reversed(kept):
        if (row["item_code"], row["unit_price"]) == item:
            off, units = min(amount, row["amount"]), min(quantity, row["quantity"])
            row["amount"], row["quantity"] = round(row["amount"] - off, 4), round(row["quantity"] - units, 6)
            amount, quantity = amount - off, quantity - units
