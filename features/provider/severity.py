"""Whether the severity that a provider codes fits its patients, and whether it drifts."""

from fraud.signals import ratio, signal

_NEW = {"en": "A new department for severe cases.", "zh": "新设重症相关科室。"}
_MIX = {"domain": "weight", "code": "inpatient|I10|?|0", "amount": 1.0}
_STAY = {"visit_type": "inpatient", "stay_days": 3, "drg_weight": 1.0}


@signal(
    title={"en": "DRG weight against patients of the same kind", "zh": "病组权重与同类患者预期之比"},
    says={
        "en": "Stays are grouped {value:.2f} times as heavy as those of patients with the same diagnosis, age and "
        "chronic conditions (peers: {peer_median:.2f}).",
        "zh": "入组权重为同病种、同年龄段、同慢性病情况患者的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    default=1,
    peer=True,
    violation="T17",
    severity="serious",
    national_code="GZ10000201003000",
    cites=["causes-35", "upcoding-nber", "township-upcoding-case"],
    excuses={
        "en": "A referral centre treats the severest cases of a diagnosis.",
        "zh": "转诊中心收治同病种中的重症患者。",
    },
)
def weight_against_expected(window):
    """DRG weight of the stays over the weight usual for their diagnosis, age band and chronic conditions.

    Blind spot: a primary diagnosis that is itself coded up.

    释义:住院的DRG权重除以同诊断、年龄段与慢性病的通常权重。
    盲区:本身已编高的主诊断。
    """
    known = window.drg_weight.notnull() & window.usual_weight.notnull()
    return ratio(window.drg_weight.sum(where=known), window.usual_weight.sum(where=known))


weight_against_expected.fires(1.5, window={**_STAY, "drg_weight": 1.5, "times": 3}, norms=_MIX)
weight_against_expected.quiet(1, window={**_STAY, "times": 3}, norms=_MIX)


@signal(
    title={"en": "Drift of the DRG weight", "zh": "病组权重漂移"},
    says={
        "en": "In the last half year stays were grouped {value:.2f} times as heavy, for the same kinds of patients, as "
        "before (peers: {peer_median:.2f}).",
        "zh": "同类患者的入组权重近半年为此前的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    default=1,
    peer=True,
    violation="T17",
    national_code="GZ10000201003000",
    cites=["causes-35", "upcoding-nber"],
    excuses=_NEW,
)
def weight_drift(window, limits):
    """Weight over expected weight of the last `recent_half_days` days, over the same of the window before.

    Blind spot: a habit as old as the window.

    释义:近`recent_half_days`天的权重与预期权重之比,除以窗口此前部分的同一比值。
    盲区:早于窗口的习惯。
    """
    known = window.drg_weight.notnull() & window.usual_weight.notnull()
    late = window.days_ago <= limits.recent_half_days
    after = ratio(window.drg_weight.sum(where=known & late), window.usual_weight.sum(where=known & late))
    before = ratio(window.drg_weight.sum(where=known & ~late), window.usual_weight.sum(where=known & ~late))
    return ratio(after, before)


weight_drift.fires(2, window=[{**_STAY, "days_ago": 300}, {**_STAY, "drg_weight": 2.0, "days_ago": 20}], norms=_MIX)
weight_drift.quiet(1, window=[{**_STAY, "days_ago": 300}, {**_STAY, "days_ago": 20}], norms=_MIX)


_SEVERE_MIX = {"en": "A ward for severe cases was opened.", "zh": "新开设重症病区。"}


@signal(
    title={"en": "Heavier, but not dearer", "zh": "权重高而费用低的住院"},
    says={
        "en": "The weights rise {value:.2f} times as far above the usual as the costs do (peers: {peer_median:.2f}).",
        "zh": "入组权重超出预期的幅度为费用超出幅度的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    default=1,
    peer=True,
    violation="T17",
    cites=["causes-35", "upcoding-nber"],
    excuses=_SEVERE_MIX,
)
def weight_against_cost(window):
    """Weight over expected weight, over amount over expected amount, of the weighted stays.

    Cases that are really severe cost more as well as weigh more. Blind spot: costs that are padded to fit.

    释义:有权重住院的权重与预期权重之比,除以费用与预期费用之比。
    盲区:为匹配权重而虚增的费用。
    """
    known = window.drg_weight.notnull() & window.usual_weight.notnull()
    weight = ratio(window.drg_weight.sum(where=known), window.usual_weight.sum(where=known))
    amount = ratio(window.total_amount.sum(where=known), window.usual_amount.sum(where=known))
    return ratio(weight, amount)


_AMOUNT = {"domain": "mix", "code": "inpatient|I10|?|0", "amount": 1000.0, "days": 3.0}
weight_against_cost.fires(1.5, window={**_STAY, "drg_weight": 1.5, "times": 3}, norms=[_MIX, _AMOUNT])
weight_against_cost.quiet(
    1, window={**_STAY, "drg_weight": 1.5, "total_amount": 1500.0, "times": 3}, norms=[_MIX, _AMOUNT]
)
