"""Whether the benefit may be had at all: twice the same invoice, suspended staff and providers."""

from datetime import date

from fraud.signals import signal


@signal(
    title={"en": "The invoice was settled before", "zh": "同一发票重复结算次数"},
    says={
        "en": "{value:.0f} earlier claim(s) of this patient carry the same invoice number; {limit:.0f} is allowed.",
        "zh": "患者此前已有{value:.0f}单使用同一发票号,应为{limit:.0f}单。",
    },
    unit="claims",
    riskier="high",
    default=0,
    violation="T21",
    kind="violation",
    severity="serious",
    limit="repeated_invoices",
    cites=["decree-735.41", "rules-2026", "duplicate-invoice-case"],
    excuses={
        "en": "A claim that was uploaded twice by mistake, or taken back and settled again.",
        "zh": "误重复上传,或退费后重新结算。",
    },
)
def repeated_invoices(claim, past):
    """Earlier claims of the patient with the invoice number of this one.

    Blind spot: an invoice used for two persons.

    释义:患者此前使用同一发票号的结算单数。
    盲区:同一发票用于两个人。
    """
    return past.count(where=past.invoice_no == claim.invoice_no)


repeated_invoices.fires(1, claim={"invoice_no": "7"}, past=[{"invoice_no": "7"}, {"invoice_no": "8"}])
repeated_invoices.fires(2, claim={"invoice_no": "7"}, past=[{"invoice_no": "7", "provider_id": "H#", "times": 2}])
repeated_invoices.fires(
    1, claim={"invoice_no": "7", "settlement_channel": "manual"}, past=[{"invoice_no": "7", "days_ago": 200}]
)
repeated_invoices.quiet(0, claim={"invoice_no": "7"}, past=[{"invoice_no": "8"}])
repeated_invoices.quiet(0, past=[{"times": 3}])
repeated_invoices.quiet(0, claim={"invoice_no": "7"}, past=[{}])


@signal(
    title={"en": "Physician suspended", "zh": "医师处于暂停期"},
    says={
        "en": "The physician was suspended on the day of admission (1 yes, 0 no): {value:.0f}, should be {limit:.0f}.",
        "zh": "就诊当日医师处于医保支付资格暂停期(1是,0否):{value:.0f},应为{limit:.0f}。",
    },
    unit="yes (1) or no (0)",
    riskier="high",
    default=0,
    high=1,
    violation="T29",
    kind="violation",
    severity="serious",
    limit="suspended_staff",
    cites=["points-2024", "decree-735.38"],
    excuses={"en": "An emergency in which nobody else was there.", "zh": "急危重症抢救。"},
)
def physician_suspended(claim):
    """1 when the day of admission lies in the physician's suspension, else 0.

    Blind spot: a suspended physician who bills under another name.

    释义:入院日处于医师暂停期的为1,否则为0。
    盲区:被暂停医师借他人名义结算。
    """
    day = claim.admitted_at.date()
    over = (claim.physician_suspended_to < day).fill_null(False)
    return ((claim.physician_suspended_from <= day) & ~over).cast("int64")


_OUT = {"physician_id": "D", "suspended_from": date(2024, 6, 1)}
physician_suspended.fires(1, physicians=_OUT)
physician_suspended.quiet(0, physicians={**_OUT, "suspended_to": date(2024, 6, 10)})
physician_suspended.fires(1, physicians={**_OUT, "suspended_to": date(2024, 6, 12)})
physician_suspended.fires(1, physicians={**_OUT, "suspended_from": date(2024, 6, 12)})
physician_suspended.quiet(0)
physician_suspended.quiet(0, physicians={**_OUT, "suspended_from": date(2024, 6, 13)})


@signal(
    title={"en": "Provider suspended", "zh": "机构处于暂停期"},
    says={
        "en": "The provider was suspended on the day of admission (1 yes, 0 no): {value:.0f}, should be {limit:.0f}.",
        "zh": "就诊当日机构处于医保服务暂停期(1是,0否):{value:.0f},应为{limit:.0f}。",
    },
    unit="yes (1) or no (0)",
    riskier="high",
    default=0,
    high=1,
    violation="T30",
    kind="violation",
    severity="serious",
    limit="suspended_staff",
    cites=["causes-35", "rules-2026"],
    excuses={"en": "A stay that had begun before the suspension.", "zh": "暂停前已在院的患者。"},
)
def provider_suspended(claim):
    """1 when the day of admission lies in the provider's suspension, else 0.

    Blind spot: claims sent through a neighbour during the suspension.

    释义:入院日处于机构暂停期的为1,否则为0。
    盲区:暂停期间借邻近机构上传的结算。
    """
    day = claim.admitted_at.date()
    over = (claim.provider_suspended_to < day).fill_null(False)
    return ((claim.provider_suspended_from <= day) & ~over).cast("int64")


_SHUT = {"provider_id": "H", "suspended_from": date(2024, 6, 1)}
provider_suspended.fires(1, providers=_SHUT)
provider_suspended.quiet(0, providers={**_SHUT, "suspended_to": date(2024, 6, 10)})
provider_suspended.fires(1, providers={**_SHUT, "suspended_to": date(2024, 6, 12)})
provider_suspended.fires(1, providers={**_SHUT, "suspended_from": date(2024, 6, 12)})
provider_suspended.quiet(0)
provider_suspended.quiet(0, providers={**_SHUT, "suspended_from": date(2024, 6, 13)})
