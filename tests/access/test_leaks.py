"""After a run over every call, good and bad: no key and nobody's name in logs, problems or metrics."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fraud.store import Keys, Store
from fraud.web.app import CALLS
from fraud.web.running.runtime import Runtime
from fraud.web.telemetry.logs import JsonLines, TextLines
from tests.access.parts import bearer
from tests.web.client import Client, body

ID_CARD, PHONE = "11010519491231002X", "13800138000"
PERSONS = {
    "patient_id": f"zhang-san-{ID_CARD}",
    "payee_account": "6222020200099887766",
    "invoice_no": "INVOICE-4711",
    "operator_id": f"wang-wu-{PHONE}",
}
NAMES = (*PERSONS.values(), ID_CARD, PHONE, "张三")
BAD_HEADERS: dict[str, dict[str, str]] = {
    "key": {"Authorization": "Bearer fraud_00000000_SECRETSECRETSECRETSECRETSECRETSECRETSECRETS"},
    "scheme": {"Authorization": "Basic c2VjcmV0OnNlY3JldA=="},
}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the service would have logged, at its most talkative, in both of its forms."""
    written = io.StringIO()
    handlers = [logging.StreamHandler(written) for _ in range(2)]
    for handler, form in zip(handlers, (JsonLines(), TextLines()), strict=True):
        handler.setFormatter(form)
        logging.getLogger("fraud").addHandler(handler)
    before = logging.getLogger("fraud").level
    logging.getLogger("fraud").setLevel(logging.DEBUG)
    yield written
    logging.getLogger("fraud").setLevel(before)
    for handler in handlers:
        logging.getLogger("fraud").removeHandler(handler)


def bodies() -> list[Any]:
    """Bodies from good to hopeless, with a person in each."""
    good = body("c-1", **PERSONS)
    wrong_type = body("c-1", **PERSONS, total_amount=PHONE)
    unknown = body("c-1", **PERSONS) | {PHONE: ID_CARD}
    twice = body("c-1", **PERSONS)
    twice["lines"] *= 2
    dates = body("c-1", **PERSONS, admitted_at=ID_CARD)
    audit = {
        "infno": "3101",
        "msgid": "1",
        "opter_name": "张三",
        "input": {"data": {"patient_dtos": [{"patn_id": ID_CARD, "patn_name": "张三"}]}},
    }
    fhir = {"resourceType": "Claim", "patient": {"reference": f"Patient/{ID_CARD}"}, "identifier": [{"value": ID_CARD}]}
    outcome = {"outcomes": [{"entity": "patient", "entity_id": ID_CARD, "verdict": PHONE}]}
    return [
        good,
        wrong_type,
        unknown,
        twice,
        dates,
        {"claims": [good, wrong_type]},
        audit,
        fhir,
        outcome,
        ID_CARD,
        [good],
    ]


def run_over_everything(client: Client, secrets: dict[str, str]) -> list[httpx.Response]:
    answers = []
    for path, method, *_ in CALLS:
        for name in ("request_id", "claim_id", "entity_id", "id"):
            path = path.replace(f"{{{name}}}", PERSONS["patient_id"])
        for given in bodies() if method == "POST" else [None]:
            answers += [client.send(method, path, headers=bearer(s), json=given) for s in secrets.values()]
        answers += [client.send(method, path, headers=wrong) for wrong in BAD_HEADERS.values()]
        answers.append(client.send("DELETE", path, headers=bearer(secrets["auditor"])))
        answers.append(client.send(method, path, headers=bearer(secrets["auditor"], X_Purpose="x")))
    answers.append(client.get(f"/v1/nothing/{ID_CARD}", headers=bearer(secrets["auditor"])))
    return answers


def figures() -> str:
    from prometheus_client import generate_latest

    return generate_latest().decode()


@pytest.mark.requirement("000-41", "001-40")
def test_no_key_and_no_person_in_logs_problems_or_metrics_after_a_run_over_every_call(
    client: Client, runtime: Runtime, keys: Keys, store: Store, lines: io.StringIO
) -> None:
    secrets = {r: keys.add(r, r, "person:x")[1] for r in ("claims-system", "investigator", "auditor")}
    answers = run_over_everything(client, secrets)
    with store.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE claims RENAME TO gone")
    answers += run_over_everything(client, secrets)
    # And something that nobody foresaw.
    runtime.catalogue = None  # type: ignore[assignment]
    answers += [
        client.get(p, headers=bearer(secrets["auditor"])) for p in ("/v1/model", f"/v1/claims/{ID_CARD}/report")
    ]
    # The audit interface tells a refusal in its own way.
    refused = [a for a in answers if a.status_code >= 400 or '"infcode":-1' in a.text]
    assert {a.status_code for a in refused} >= {400, 401, 403, 404, 405, 422, 500, 503}
    hidden = [*secrets.values(), *(s.split("_", 2)[2] for s in secrets.values()), "SECRETSECRET", "c2VjcmV0"]
    for where, text in (
        *((f"{a.request.method} {a.request.url.path} {a.status_code}", a.text) for a in refused),
        ("log", lines.getvalue()),
        ("metrics", figures()),
    ):
        assert [h for h in (*hidden, *NAMES) if h in text] == [], where
    assert lines.getvalue()
    assert "fraud_answers" in figures()
