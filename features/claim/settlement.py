"""How a claim was settled by hand: by whom, to which account, at what hour."""

from datetime import datetime

from fraud.signals import signal


@signal(
    title={"en": "Settled by hand outside office hours", "zh": "非工作时间手工结算"},
    says={
        "en": "A member of the payer's staff settled the claim by hand outside office hours (1 yes, 0 no): "
        "{value:.0f}.",
        "zh": "经办人员于非工作时间手工结算(1是,0否):{value:.0f}。",
    },
    unit="yes (1) or no (0)",
    riskier="high",
    high=1,
    default=0,
    violation="T38",
    cites=["project-document-001"],
    excuses={
        "en": "Overtime at the end of the year, or an office that opens on Saturdays.",
        "zh": "年终加班,或窗口周六办公。",
    },
)
def after_hours(claim, limits):
    """1 when the claim was settled by hand at a weekend or outside office hours, else 0.

    The hour after midnight counts as a time that is not known. Blind spot: public holidays, and weekends made
    working days.

    释义:周末或办公时间以外手工结算的为1,否则为0。
    盲区:法定节假日及调休上班的周末。
    """
    hour = claim.settled_at.hour()
    late = ((hour > 0) & (hour < limits.office_from_hour)) | (hour >= limits.office_to_hour)
    staff = (claim.settlement_channel == "manual") & claim.operator_id.notnull()
    return (staff & (late | (claim.settled_at.day_of_week.index() >= 5))).cast("int64")


_STAFF = {"settlement_channel": "manual", "operator_id": "E1"}
after_hours.fires(1, claim={**_STAFF, "settled_at": datetime(2024, 6, 12, 22, 40)})
after_hours.fires(1, claim={**_STAFF, "settled_at": datetime(2024, 6, 15, 10)})
after_hours.quiet(0, claim={**_STAFF, "settled_at": datetime(2024, 6, 12, 10)})
after_hours.quiet(0, claim={**_STAFF, "settled_at": datetime(2024, 6, 12)})
after_hours.quiet(0, claim={"settlement_channel": "direct", "settled_at": datetime(2024, 6, 15, 10)})


@signal(
    title={"en": "Same operator, same account", "zh": "同一经办人向同一账户手工结算次数"},
    says={
        "en": "The same member of staff had settled {value:.0f} earlier claim(s) of this person by hand to the same "
        "account; {limit:.0f} is usual at most.",
        "zh": "同一经办人此前已将该参保人{value:.0f}单手工结算至同一账户,通常不超过{limit:.0f}单。",
    },
    unit="claims",
    riskier="high",
    default=0,
    violation="T38",
    severity="serious",
    limit="same_operator_claims",
    cites=["project-document-001"],
    excuses={
        "en": "A small office with one member of staff.",
        "zh": "小型经办点仅有一名经办人员。",
    },
)
def same_operator_claims(claim, past):
    """Earlier claims of the patient settled by hand by the same operator to the same account.

    Blind spot: accounts that several persons share (see the signals of the network).

    释义:同一经办人向同一账户手工结算的患者既往结算单数。
    盲区:多人共用的账户(见关系网络指标)。
    """
    by_hand = (past.settlement_channel == "manual") & (claim.settlement_channel == "manual")
    return past.count(
        where=by_hand & (past.operator_id == claim.operator_id) & (past.payee_account == claim.payee_account)
    )


_PAID = {**_STAFF, "payee_account": "A1"}
same_operator_claims.fires(5, claim=_PAID, past={**_PAID, "times": 5})
same_operator_claims.fires(4, claim=_PAID, past=[{**_PAID, "provider_id": "H#", "times": 4}, {"times": 9}])
same_operator_claims.fires(4, claim=_PAID, past=[{**_PAID, "days_ago": d} for d in (10, 100, 200, 360)])
same_operator_claims.quiet(3, claim=_PAID, past={**_PAID, "times": 3})
# A second account; and records that tell neither.
same_operator_claims.quiet(0, claim=_PAID, past={**_PAID, "payee_account": "A2", "times": 5})
same_operator_claims.quiet(0, claim={"settlement_channel": "manual"}, past={"settlement_channel": "manual", "times": 5})
same_operator_claims.quiet(0, claim=_PAID, past={**_PAID, "operator_id": "E2", "times": 5})
same_operator_claims.quiet(0, claim=_PAID, past={**_PAID, "settlement_channel": "direct", "times": 5})
