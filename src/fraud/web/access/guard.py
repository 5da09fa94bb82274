"""Who may do what: one table of calls and roles, keys, rates, bounds of data, and the ledger of what was read.

Whatever is not in the table is refused. A record outside of a key's bounds is answered as one that nobody ever
heard of, so that not even its existence leaks.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args
from urllib.parse import unquote

from fraud.errors import SpecError
from fraud.store.keys import ROLES, Key, Keys, Scope
from fraud.store.ledger import Event, Ledger, Record
from fraud.store.people import People
from fraud.web.access.bounds import Subject, holds, strangers, strangers_named, subject_of
from fraud.web.access.unusual import Limits, Watch, suspended
from fraud.web.bodies.problems import Problem

if TYPE_CHECKING:
    from fraud.store import Store
    from fraud.web.bodies.messages import Incoming, Reply

__all__ = ["OPEN", "PER_SECOND", "RULES", "Caller", "Demand", "Guard", "Rule", "demands_of", "is_local"]

log = logging.getLogger("fraud.web")
_Found = TypeVar("_Found")
# When a key is asked for: always, or as soon as one was made or a request comes over the network.
Demand = Literal["required", "when-any"]
# Requests a second of one key, in each worker; a second's worth may come at once.
PER_SECOND = 1_000.0
# Seconds for which a key is not looked up again: so long after its revocation it may still open the door.
FRESH = 2.0
# Keys remembered, wrong ones too; beyond this all are forgotten, so that nobody can fill the memory.
_MOST_REMEMBERED = 4_096
_LOOKUP_SECONDS = 5.0
_LONGEST_PURPOSE = 200


# --- the table --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """Who may make a call. `record` is the kind of record that it reads, `parameter` where its id stands.

    `event` is what the ledger calls it; `names` are the fields of a body that say whose claims it `sends`. One that
    `judges` names records by entity and id; one that is `unbounded` is for keys without bounds.
    """

    roles: frozenset[str] = frozenset()
    public: bool = False
    record: str | None = None
    parameter: str = ""
    event: str | None = None
    names: frozenset[str] = frozenset()
    sends: bool = False
    judges: bool = False
    unbounded: bool = False


def _sends(*names: str, event: str | None = None) -> Rule:
    """Claims from a payer's or a provider's system. Scoring is no reading of a person's record by anybody."""
    return Rule(frozenset({"claims-system"}), names=frozenset(names), event=event, sends=True)


_READERS = frozenset({"investigator", "supervisor", "auditor"})


def _reads(record: str, parameter: str, *more: str) -> Rule:
    return Rule(_READERS | set(more), record=record, parameter=parameter, event=f"{record}.read")


def _works_on(record: str, parameter: str) -> Rule:
    return Rule(frozenset({"investigator", "supervisor"}), record=record, parameter=parameter)


_CANONICAL, _AUDIT = ("provider_id",), ("fixmedins_code", "medins_id")
RULES: Mapping[str, Rule] = {
    "score": _sends(*_CANONICAL),
    "score_batch": _sends(*_CANONICAL),
    "add_claims": _sends(*_CANONICAL, event="claims.added"),
    # A key with bounds cannot use it: whose claim it is stands in another resource.
    "fhir_score": _sends(),
    "audit_before": _sends(*_AUDIT),
    "audit_during": _sends(*_AUDIT),
    "audit_feedback": _sends(*_AUDIT, event="warnings.answered"),
    "decision": _reads("decision", "request_id", "claims-system"),
    "claim_report": _reads("claim", "claim_id"),
    "provider_risk": _reads("provider", "entity_id"),
    "patient_risk": _reads("patient", "entity_id"),
    "physician_risk": _reads("physician", "entity_id"),
    "outcomes": Rule(frozenset({"investigator", "supervisor"}), event="outcomes.added", judges=True),
    "cases": Rule(_READERS, event="cases.listed"),
    "case": _reads("case", "id"),
    "case_file": _reads("case", "id"),
    "case_pack": replace(_works_on("case", "id"), event="case.exported"),
    # What changes a case tells the ledger itself, in the transaction of the change.
    "case_change": _works_on("case", "id"),
    "case_decide": _works_on("case", "id"),
    # Papers tell the ledger themselves which one it was. But for a scorecard they speak of all providers.
    **{f"paper_{kind}": Rule(_READERS, unbounded=True) for kind in ("monthly", "quarterly", "ranking")},
    "paper_scorecard": Rule(_READERS),
    "model": Rule(frozenset(ROLES)),
    "ledger": Rule(frozenset({"auditor"}), event="ledger.read", unbounded=True),
    "docs": Rule(public=True),
}


@dataclass(frozen=True)
class Caller:
    """Who calls: the id of the key, its name, role and bounds, and why, where that was said.

    `sees_identities` is false for whoever gets names of persons as keyed hashes.
    """

    key_id: str
    name: str
    role: str
    scope: Scope = field(default_factory=Scope)
    purpose: str | None = None
    sees_identities: bool = False

    @property
    def has_key(self) -> bool:
        """Whether a key was shown: not by a person who signed in (`user:…`), nor where nobody was asked."""
        return ":" not in self.key_id and self.key_id != "open"


# Without any key, on the machine itself, nothing is kept from anybody; the service says so.
OPEN = Caller("open", "", "open", sees_identities=True)


def is_local(server: object) -> bool:
    """Whether the address that took the connection is one that only this machine reaches.

    `server` is ASGI's; what has no numeric address (a socket file, a test) is of this machine.
    """
    host = server[0] if isinstance(server, (tuple, list)) and server else None
    return _is_loopback(str(host)) is not False


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool | None:
    """Whether a numeric address is of this machine alone; None for what is none."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return None


def demands_of(service: Mapping[str, Any], listens_on: str | None = None) -> dict[str, Any]:
    """`demand` and `per_second` out of the settings `[service]`; raises `SpecError` for what cannot be.

    Whoever listens on an address that others reach asks everybody for a key: a proxy on the same machine would
    make every caller look like a local one.
    """
    demand, rate = service.get("keys", "when-any"), service.get("requests_per_second", PER_SECOND)
    if demand not in get_args(Demand):
        raise SpecError(f'fraud.toml: [service] keys is one of {", ".join(get_args(Demand))}, not "{demand}".')
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or rate <= 0:
        raise SpecError(f"fraud.toml: [service] requests_per_second is a number above zero, not {rate!r}.")
    reached = listens_on is not None and listens_on != "localhost" and _is_loopback(listens_on) is not True
    return {"demand": "required" if reached else demand, "per_second": float(rate)}


@dataclass
class _Bucket:
    """Requests that a key may still make; `at` is when that was worked out."""

    left: float
    at: float


class Guard:
    """Lets callers in, keeps them to their rates and bounds, and tells the ledger.

    `admit` belongs to the event loop and touches the database only for a key that it has not seen for two
    seconds; `answer` runs where the work runs. `clock` is UTC, `ticks` are seconds that never go back.
    """

    def __init__(
        self,
        store: Store,
        demand: Demand = "when-any",
        per_second: float = PER_SECOND,
        *,
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ticks: Callable[[], float] = monotonic,
    ) -> None:
        self.demand, self.per_second = demand, per_second
        self.ledger = Ledger(store.database, clock)
        self._store, self._keys = store, Keys(store.database, clock)
        self._people = People(store.database, clock)
        self.clock = self._clock = clock
        self._ticks = ticks
        self._seen: dict[bytes, tuple[Key | None, float]] = {}
        self._asked: dict[bytes, asyncio.Task[Key | None]] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._any_key: tuple[bool, float] = (False, -FRESH)
        self._notes = ThreadPoolExecutor(1, "fraud-keys")
        self._watch = Watch(self._keys, limits, ticks, self._seen.clear)

    def close(self) -> None:
        """Wait for what is still to be noted."""
        self._notes.shutdown(wait=True)

    @property
    def access(self) -> str:
        """`open` while no key is asked for on this machine, else `keys`."""
        return "keys" if self.demand == "required" or self._anybody() else "open"

    # --- who calls ----------------------------------------------------------------------------------------

    async def admit(
        self, call: str, headers: Mapping[str, str], server: object = None, client: object = None
    ) -> Caller:
        """Who makes this call; raises `Problem` 401, 403 or 429 for whoever may not."""
        rule = RULES.get(call)
        if rule is None:
            raise Problem("not-allowed", "Nobody may make this call: no role was given it.")
        if rule.public:
            return OPEN
        given = headers.get("authorization")
        if given is None:
            return await self._without_key(server)
        key = await self._known(_secret(given))
        if key is None:
            raise _refused("The key is not known, or was withdrawn. Check that it is whole.")
        if (state := key.state(self._clock())) == "suspended":
            raise suspended()
        if state != "valid":
            raise _refused(f"The key is {state}. Ask whoever gave it to you for another one.")
        if key.role not in rule.roles:
            allowed = ", ".join(sorted(rule.roles))
            raise Problem("not-allowed", f"The role {key.role} may not make this call; {allowed} may.")
        self._spend(key)
        if (suspend := self._watch.comes_from(key.key_id, client)) is not None:
            await _away(suspend)
        return _caller(key, headers)

    async def _without_key(self, server: object) -> Caller:
        if self.demand == "required" or not is_local(server) or await self._has_keys():
            raise _refused("Send a key: Authorization: Bearer KEY. `fraud keys add` makes one.", "no-key")
        return OPEN

    def _anybody(self) -> bool:
        """Whether a key was ever made, or somebody added who signs in: then nobody is let in unasked."""
        return self._keys.any() or self._people.any()

    async def _has_keys(self) -> bool:
        found, at = self._any_key
        # A key that was made stays made, even revoked: the door does not open again by itself.
        if not found and self._ticks() - at >= FRESH:
            self._any_key = (await _away(self._anybody), self._ticks())
        return self._any_key[0]

    async def _known(self, secret: str) -> Key | None:
        digest = hashlib.sha256(secret.encode()).digest()
        found = self._seen.get(digest)
        if found is not None and self._ticks() - found[1] < FRESH:
            return found[0]
        # One look-up for all requests that wait for the same key.
        if digest not in self._asked:
            self._asked[digest] = asyncio.ensure_future(_away(lambda: self._keys.find(secret)))
            self._asked[digest].add_done_callback(lambda _: self._asked.pop(digest, None))
        key = await asyncio.shield(self._asked[digest])
        if len(self._seen) >= _MOST_REMEMBERED:
            self._seen.clear()
        self._seen[digest] = (key, self._ticks())
        if key is not None and self._clock() < key.expires_at:
            self._notes.submit(self._note, key.key_id)
        return key

    def _note(self, key_id: str) -> None:
        try:
            self._keys.note_use(key_id)
        except Exception:
            # That a key was used is told with the next use; no request fails for it.
            log.warning("the use of key %s could not be noted", key_id, exc_info=True)

    def _spend(self, key: Key) -> None:
        rate, now = key.per_second or self.per_second, self._ticks()
        most = max(rate, 1.0)
        bucket = self._buckets.setdefault(key.key_id, _Bucket(most, now))
        bucket.left, bucket.at = min(most, bucket.left + (now - bucket.at) * rate), now
        if bucket.left < 1:
            wait = max(1, round((1 - bucket.left) / rate + 0.5))
            detail = f"This key may make {rate:g} requests a second. Wait as long as Retry-After says."
            raise Problem("rate-limited", detail, headers={"Retry-After": str(wait)})
        bucket.left -= 1

    # --- what they get ------------------------------------------------------------------------------------

    def answer(self, call: str, caller: Caller, incoming: Incoming, work: Callable[[Incoming], Reply]) -> Reply:
        """The work's reply, within the caller's bounds and told to the ledger before it leaves."""
        return self.answer_by(RULES[call], caller, incoming, work)

    def answer_by(self, rule: Rule, caller: Caller, incoming: Incoming, work: Callable[[Incoming], Reply]) -> Reply:
        """As `answer`, for what has a rule of its own."""
        incoming = replace(incoming, caller=caller)
        if caller.scope.bounded:
            self._check_bounds(rule, caller, incoming)
        if rule.record is None:
            reply = work(incoming)
            if rule.event and reply.status < 400:
                body = {"body": f"sha256:{hashlib.sha256(incoming.body).hexdigest()}"} if incoming.body else {}
                self.ledger.add(self._event(rule.event, caller, incoming, details=body))
            return reply
        return self._read(rule, caller, incoming, work)

    def _check_bounds(self, rule: Rule, caller: Caller, incoming: Incoming) -> None:
        """Refuse what a key with bounds brings of others, and what has no bounds."""
        if rule.unbounded:
            raise Problem("not-allowed", "This call is for keys without bounds: what it tells is of all records.")
        look = strangers if rule.sends else strangers_named if rule.judges else None
        faults = look(self._store, caller.scope, rule.names, incoming.body) if look else ()
        if faults:
            detail = "This key may not send anything of other providers or regions; errors names them."
            raise Problem("not-allowed", detail, faults)

    def _read(self, rule: Rule, caller: Caller, incoming: Incoming, work: Callable[[Incoming], Reply]) -> Reply:
        record = Record(str(rule.record), incoming.path[rule.parameter])
        subject = subject_of(self._store, record)
        self._watch.reads(caller, record, subject)
        if not holds(self._store, caller.scope, subject):
            self.ledger.add(self._event(f"{record.kind}.refused", caller, incoming, record, subject))
            nobody = {**incoming.path, rule.parameter: secrets.token_hex(16)}
            return work(replace(incoming, path=nobody))
        reply = work(incoming)
        if rule.event:
            self.ledger.add(self._event(rule.event, caller, incoming, record, subject))
        return reply

    def _event(
        self,
        what: str,
        caller: Caller,
        incoming: Incoming,
        record: Record | None = None,
        subject: Subject | None = None,
        details: Mapping[str, object] | None = None,
    ) -> Event:
        return Event(
            what,
            caller.key_id,
            record,
            person=subject.patient_id if subject else None,
            purpose=caller.purpose,
            request_id=incoming.request_id,
            details={"role": caller.role, "identities": caller.sees_identities, **(details or {})},
        )

    def masked(self, column: str, value: str) -> str:
        """What stands in place of a person's identifier: the same name in every report and in the ledger."""
        return self.ledger.name(Record(column.removesuffix("_id"), value))


async def _away(work: Callable[[], _Found]) -> _Found:
    """The work's result, without holding the event loop; raises `Problem` when the database is too slow."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(work), _LOOKUP_SECONDS)
    except TimeoutError:
        raise Problem("store-unavailable", "The key could not be looked up in time.") from None


def _secret(given: str) -> str:
    scheme, _, secret = given.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise _refused("Send the key as: Authorization: Bearer KEY.")
    return secret.strip()


def _refused(detail: str, name: str = "bad-key") -> Problem:
    error = ', error="invalid_token"' if name == "bad-key" else ""
    return Problem(name, detail, headers={"WWW-Authenticate": f'Bearer realm="fraud"{error}'})


def _caller(key: Key, headers: Mapping[str, str]) -> Caller:
    purpose = _purpose(headers.get("x-purpose"))
    # A claim system gets back what it sent; of people, only a supervisor who says why sees who it is.
    sees = key.role == "claims-system" or (key.role == "supervisor" and purpose is not None)
    return Caller(key.key_id, key.name, key.role, key.scope, purpose, sees)


def _purpose(given: str | None) -> str | None:
    if given is None:
        return None
    purpose = unquote(given).strip()
    if not 3 <= len(purpose) <= _LONGEST_PURPOSE or not purpose.isprintable():
        raise Problem(
            "bad-header", f"X-Purpose says why in 3 to {_LONGEST_PURPOSE} characters; beyond ASCII, percent-encoded."
        )
    return purpose
