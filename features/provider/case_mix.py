"""What a provider's claims cost, how long its stays last and whom it admits, against patients of the same kind."""

from fraud.signals import ratio, signal

_REFERRAL = {
    "en": "A referral centre treats the severest cases of a diagnosis.",
    "zh": "转诊中心收治同病种中的重症患者。",
}
_MIX = {"domain": "mix", "code": "inpatient|I10|?|0", "amount": 1000.0, "days": 4.0}
_STAY = {"visit_type": "inpatient", "stay_days": 4}


@signal(
    title={"en": "Amount against patients of the same kind", "zh": "费用与同类患者预期之比"},
    says={
        "en": "A claim costs on average {value:.2f} times what patients of the same diagnosis, age and chronic "
        "conditions usually cost (peers: {peer_median:.2f}).",
        "zh": "单次费用平均为同病种、同年龄段、同慢性病患者预期的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    version=2,
    riskier="high",
    default=1,
    peer=True,
    violation="T16",
    cites=["decree-735.38.2", "open-rule-config"],
    excuses=_REFERRAL,
)
def amount_against_mix(window):
    """Mean, over the claims, of the amount over what the same care, diagnosis, age and conditions usually cost.

    Each claim counts the same, so that a few dear stays do not hide what happens day by day; sales of a pharmacy are
    left out. Severity comes from the payer's register, not from the claim. Blind spot: a habit that everybody has.

    释义:各结算单费用与同就诊类型、诊断、年龄段、慢性病通常费用之比的平均值(药店结算不计)。
    盲区:人人都有的习惯。
    """
    return ratio(window.total_amount, window.usual_amount).mean(where=window.visit_type != "pharmacy")


amount_against_mix.fires(3, window={**_STAY, "total_amount": 3000.0, "times": 3}, norms=_MIX)
amount_against_mix.fires(2, window=[{**_STAY, "total_amount": 3000.0}, {**_STAY, "patient_id": "P2"}], norms=_MIX)
amount_against_mix.quiet(1, window={**_STAY, "times": 3}, norms=_MIX)
amount_against_mix.quiet(1, window=[_STAY, {"visit_type": "pharmacy", "total_amount": 9000.0}], norms=_MIX)


@signal(
    title={"en": "Length of stay against patients of the same kind", "zh": "住院天数与同类患者预期之比"},
    says={
        "en": "Stays last {value:.2f} times what patients of the same diagnosis, age and chronic conditions usually "
        "need (peers: {peer_median:.2f}).",
        "zh": "住院天数为同病种、同年龄段、同慢性病情况患者预期的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    default=1,
    peer=True,
    violation="T02",
    cites=["decree-735.38.1", "decree-735.38.2"],
    excuses=_REFERRAL,
)
def stay_against_mix(window):
    """Nights of all stays over the nights that the same diagnosis, age band and chronic conditions usually take.

    Blind spot: a habit that everybody has.

    释义:全部住院夜数除以同诊断、年龄段与慢性病的通常夜数。
    盲区:人人都有的习惯。
    """
    stays = (window.visit_type == "inpatient") & window.usual_days.notnull()
    return ratio(window.stay_days.sum(where=stays), window.usual_days.sum(where=stays))


stay_against_mix.fires(3, window={**_STAY, "stay_days": 12, "days_ago": 40, "times": 3}, norms=_MIX)
stay_against_mix.quiet(1, window={**_STAY, "times": 3}, norms=_MIX)


@signal(
    title={"en": "Admissions against patients of the same kind", "zh": "住院人次与同类患者预期之比"},
    says={
        "en": "Patients are admitted {value:.2f} times as often as others with the same diagnosis, age and chronic "
        "conditions (peers: {peer_median:.2f}).",
        "zh": "住院人次为同病种、同年龄段、同慢性病情况患者预期的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    peer=True,
    violation="T04",
    national_code="GZ10000204005000",
    cites=["decree-735.38.2", "weihai-model"],
    excuses={
        "en": "A hospital to which patients are sent for admission.",
        "zh": "以接收转诊住院为主的医院。",
    },
)
def admissions_against_expected(window):
    """Stays over the stays expected among the claims (pharmacies' apart) from diagnosis, age and conditions.

    Blind spot: a provider without an outpatient department admits everybody it sees; compare with its peers.

    释义:住院次数除以按诊断、年龄、慢性病预期的住院次数(药店结算不计)。
    盲区:没有门诊的机构全部收住院,应与同类比较。
    """
    known = window.admission_share.notnull() & (window.visit_type != "pharmacy")
    stays = window.count(where=known & (window.visit_type == "inpatient"))
    return ratio(stays, window.admission_share.sum(where=known))


_OFTEN = {"domain": "admission", "code": "I10|?|0", "share": 0.1}
admissions_against_expected.fires(10, window={**_STAY, "times": 3}, norms=_OFTEN)
admissions_against_expected.quiet(1, window=[_STAY, {"times": 9}], norms=_OFTEN)
admissions_against_expected.quiet(None, window=[_STAY, {"times": 9}])
