"""What a physician's claims cost, how long the stays last and who is admitted, against patients of the same kind."""

from fraud.signals import ratio, signal

_REFERRAL = {
    "en": "A specialist treats the severest cases of a diagnosis.",
    "zh": "专科医师收治同病种中的重症患者。",
}
_MIX = {"domain": "mix", "code": "inpatient|I10|?|0", "amount": 1000.0, "days": 4.0}
_STAY = {"visit_type": "inpatient", "stay_days": 4}


@signal(
    title={"en": "Length of stay against patients of the same kind", "zh": "住院天数与同类患者预期之比"},
    says={
        "en": "Stays last {value:.2f} times what patients of the same diagnosis, age and chronic conditions usually "
        "need (peers: {peer_median:.2f}).",
        "zh": "住院天数为同病种、同年龄段、同慢性病情况患者预期的{value:.2f}倍(同专业中位数{peer_median:.2f}倍)。",
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

    释义:住院总夜数除以同诊断、年龄段与慢性病的通常夜数。
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
        "zh": "住院人次为同病种、同年龄段、同慢性病情况患者预期的{value:.2f}倍(同专业中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    peer=True,
    violation="T04",
    national_code="GZ10000204005000",
    cites=["decree-735.38.2", "weihai-model"],
    excuses={
        "en": "A ward physician who sees patients only once they are admitted.",
        "zh": "病房医师仅接诊已住院患者。",
    },
)
def admissions_against_expected(window):
    """Stays over the stays expected among the claims (pharmacies' apart) from diagnosis, age and conditions.

    Blind spot: a physician without outpatients admits everybody; compare with the peers.

    释义:住院次数除以按诊断、年龄、慢性病预期的住院次数(药店结算不计)。
    盲区:不看门诊的医师全部收住院,应与同类比较。
    """
    known = window.admission_share.notnull() & (window.visit_type != "pharmacy")
    stays = window.count(where=known & (window.visit_type == "inpatient"))
    return ratio(stays, window.admission_share.sum(where=known))


_OFTEN = {"domain": "admission", "code": "I10|?|0", "share": 0.1}
admissions_against_expected.fires(10, window={**_STAY, "times": 3}, norms=_OFTEN)
admissions_against_expected.quiet(1, window=[_STAY, {"times": 9}], norms=_OFTEN)
admissions_against_expected.quiet(None, window=[_STAY, {"times": 9}])
