"""Medical assistance and yearly ceilings: benefits outside the days and sums that were granted."""

from datetime import date, datetime

from fraud.signals import days_between, ratio, signal


def _assisted(claim):
    return claim.patient_assistance.fill_null("none") != "none"


@signal(
    title={"en": "Assisted benefit outside its days", "zh": "救助身份期外的高比例支付"},
    says={
        "en": "Outside the days of the person's assistance the fund is asked to pay {value:.0%}; up to {limit:.0%} is "
        "usual without assistance.",
        "zh": "救助身份有效期外,基金支付比例达{value:.0%},无救助身份时通常不超过{limit:.0%}。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    violation="T36",
    severity="serious",
    limit="unassisted_share",
    cites=["causes-35", "project-document-003"],
    excuses={
        "en": "A renewal that the register has not yet received.",
        "zh": "身份续期信息尚未同步。",
    },
)
def share_outside_assistance(claim):
    """Share paid by the fund on a claim outside the registered days of the person's assistance; 0 within them.

    Blind spot: what part of the payment is assistance is not known.

    释义:救助登记期以外结算单的基金支付比例;期内为0。
    盲区:支付中救助所占部分不可知。
    """
    day = claim.admitted_at.date()
    early = (day < claim.patient_assistance_from).fill_null(False)
    late = (day > claim.patient_assistance_to).fill_null(False)
    return (_assisted(claim) & (early | late)).ifelse(ratio(claim.fund_amount, claim.total_amount), 0.0)


_POOR = {"patient_id": "P", "assistance": "low_income", "assistance_from": date(2023, 1, 1)}
_ENDED = {**_POOR, "assistance_to": date(2023, 12, 31)}
share_outside_assistance.fires(1, claim={"fund_amount": 1000.0}, patients=_ENDED)
# The assistance ended yesterday; or begins tomorrow.
share_outside_assistance.fires(
    0.96, claim={"fund_amount": 960.0}, patients={**_POOR, "assistance_to": date(2024, 6, 11)}
)
share_outside_assistance.fires(
    1, claim={"fund_amount": 1000.0}, patients={**_POOR, "assistance_from": date(2024, 6, 13)}
)
share_outside_assistance.quiet(0.95, claim={"fund_amount": 950.0}, patients=_ENDED)
share_outside_assistance.quiet(0, claim={"fund_amount": 1000.0}, patients={**_POOR, "assistance_to": date(2024, 6, 12)})
share_outside_assistance.quiet(0.7, patients=_ENDED)
share_outside_assistance.quiet(
    0, claim={"fund_amount": 1000.0}, patients={**_POOR, "assistance_to": date(2024, 12, 31)}
)
share_outside_assistance.quiet(0, claim={"fund_amount": 1000.0}, patients={"patient_id": "P"})


@signal(
    title={"en": "Care long before the assistance", "zh": "身份认定前就医距认定日天数"},
    says={
        "en": "The care reimbursed by hand lies {value:.0f} days before the person's assistance began; up to "
        "{limit:.0f} days are covered.",
        "zh": "手工报销的费用发生于救助身份认定前{value:.0f}天,规定可追溯{limit:.0f}天。",
    },
    unit="days",
    riskier="high",
    default=0,
    violation="T36",
    limit="assistance_lookback_days",
    cites=["causes-35", "project-document-003"],
    excuses={
        "en": "Reimbursed by the basic insurance alone, without assistance.",
        "zh": "仅按基本医保报销,未享受救助。",
    },
)
def days_before_assistance(claim):
    """Days from the care to the first day of the person's assistance, for a claim reimbursed by hand; at least 0.

    Blind spot: an earlier period of assistance that the register no longer shows.

    释义:手工报销结算单的就诊日至救助身份首日的天数,最低为0。
    盲区:登记中已不显示的更早救助期。
    """
    before = days_between(claim.patient_assistance_from, claim.admitted_at)
    by_hand = _assisted(claim) & (claim.settlement_channel == "manual") & (before > 0)
    return by_hand.ifelse(before, 0)


_LATER = {"patient_id": "P", "assistance": "low_income", "assistance_from": date(2025, 4, 8)}
_BY_HAND = {"settlement_channel": "manual", "insured_region": "370203"}
days_before_assistance.fires(300, claim=_BY_HAND, patients=_LATER)
# Half a year and a day before; and a person of the city by its name.
days_before_assistance.fires(185, claim=_BY_HAND, patients={**_LATER, "assistance_from": date(2024, 12, 14)})
days_before_assistance.fires(300, claim={**_BY_HAND, "insured_region": "青岛"}, patients=_LATER)
days_before_assistance.quiet(184, claim=_BY_HAND, patients={**_LATER, "assistance_from": date(2024, 12, 13)})
# Another city has no such term, and this one none since 2026.
days_before_assistance.quiet(300, claim={**_BY_HAND, "insured_region": "370102"}, patients=_LATER)
days_before_assistance.quiet(
    300,
    claim={**_BY_HAND, "admitted_at": datetime(2026, 1, 5, 9)},
    patients={**_LATER, "assistance_from": date(2026, 11, 1)},
)
days_before_assistance.quiet(100, claim=_BY_HAND, patients={**_LATER, "assistance_from": date(2024, 9, 20)})
days_before_assistance.quiet(0, claim={**_BY_HAND, "settlement_channel": "direct"}, patients=_LATER)
days_before_assistance.quiet(0, claim=_BY_HAND, patients={"patient_id": "P"})


@signal(
    title={"en": "Paid in the year", "zh": "本年度累计支付金额"},
    says={
        "en": "With this claim the payments of the calendar year come to {value:,.0f}; the ceiling is {limit:,.0f}.",
        "zh": "连同本单,本自然年度累计支付{value:,.0f}元,年度限额{limit:,.0f}元。",
    },
    unit="money",
    version=2,
    riskier="high",
    default=0,
    violation="T19",
    limit="yearly_payment",
    cites=["project-document-002", "decree-735.38.6"],
    excuses={
        "en": "A policy year that does not begin in January.",
        "zh": "保单年度并非自然年度。",
    },
)
def paid_in_year(claim, past):
    """Amount asked of the fund on this claim and on the patient's earlier ones of the same calendar year.

    Unknown, and 0, without an earlier claim in the year. Blind spot: payments of other funds, claims that settle
    later, and a first claim that passes the ceiling alone.

    释义:本单与患者同一自然年此前结算单的申请基金支付金额合计;年内没有更早结算单的为0。
    盲区:其他基金的支付、更晚结算的费用,以及年内首单即超限额。
    """
    same_year = past.admitted_at.year() == claim.admitted_at.year()
    return claim.fund_amount + past.fund_amount.sum(where=same_year)


_DEAR = {"fund_amount": 100_000.0, "times": 4}
_LAST_YEAR = {"admitted_at": datetime(2023, 12, 20), "discharged_at": datetime(2023, 12, 30)}
paid_in_year.fires(500_700, past=[{**_DEAR, "times": 5}])
# The claim that passes the ceiling, by one yuan; the one before it just reached it.
paid_in_year.fires(410_001, claim={"fund_amount": 10_001.0}, past=[_DEAR])
paid_in_year.fires(420_000, claim={"fund_amount": 20_000.0}, past=[{**_DEAR, "provider_id": "H#"}])
paid_in_year.quiet(410_000, claim={"fund_amount": 10_000.0}, past=[_DEAR])
paid_in_year.quiet(100_700, past=[{**_DEAR, **_LAST_YEAR}, {"fund_amount": 100_000.0}])
paid_in_year.quiet(0, past=[{**_LAST_YEAR, "fund_amount": 500_000.0}])
