"""How a provider's amounts are spread, beside what its cases would explain."""

from fraud.signals import ratio, share, signal

_REFERRAL = {
    "en": "A referral centre treats the severest cases of a diagnosis.",
    "zh": "转诊中心收治同病种中的重症患者。",
}
_MIXED = {"en": "Departments of very different cost under one roof.", "zh": "同一机构内各科室费用差异较大。"}


@signal(
    title={"en": "Mean amount", "zh": "次均费用"},
    says={
        "en": "A claim costs {value:,.0f} on average (peers: {peer_median:,.0f}).",
        "zh": "次均费用{value:,.0f}元(同类机构中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="high",
    peer=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses=_REFERRAL,
)
def mean_amount(window):
    """Mean total amount of a claim, in the payer's currency.

    Blind spot: case mix; see `provider.amount_against_mix`.

    释义:结算单的平均总费用。
    盲区:病种构成,见`provider.amount_against_mix`。
    """
    return window.total_amount.mean()


mean_amount.fires(30000, window={"total_amount": 30000.0, "times": 3})
mean_amount.quiet(1000, window={"times": 3})


@signal(
    title={"en": "Spread of amounts", "zh": "费用离散程度"},
    says={
        "en": "Amounts differ by {value:.2f} times their mean from claim to claim (peers: {peer_median:.2f}).",
        "zh": "单间费用标准差为均值的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times the mean",
    riskier="high",
    peer=True,
    violation="T17",
    cites=["causes-35", "upcoding-nber"],
    excuses=_MIXED,
)
def amount_spread(window):
    """Standard deviation of the total amounts over their mean.

    Blind spot: a provider with one claim has no spread; small ones have a poor estimate of it.

    释义:总费用的标准差除以其均值。
    盲区:只有一张结算单的机构没有离散度,小机构估计不准。
    """
    return ratio(window.total_amount.std(), window.total_amount.mean())


amount_spread.fires(2**0.5, window=[{"total_amount": 0.0}, {"total_amount": 2000.0}])
amount_spread.quiet(0, window={"times": 3})


@signal(
    title={"en": "Few claims carry the amount", "zh": "费用集中于少数结算单"},
    says={
        "en": "The mean amount is {value:.2f} times the typical one: few claims carry much of the total "
        "(peers: {peer_median:.2f}).",
        "zh": "均值为典型(几何平均)费用的{value:.2f}倍,费用集中于少数结算单(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    peer=True,
    violation="T17",
    cites=["causes-35", "upcoding-nber"],
    excuses=_MIXED,
)
def amount_skew(window):
    """Mean amount over the geometric mean; 1 when all claims cost the same. Claims of 0 are left out.

    Blind spot: a provider that inflates all of its claims alike.

    释义:平均费用除以几何平均费用;各单费用相同时为1,费用为0的不计。
    盲区:把全部结算单同样抬高的机构。
    """
    charged = window.total_amount > 0
    typical = window.total_amount.nullif(0.0).ln().mean(where=charged).exp()
    return ratio(window.total_amount.mean(where=charged), typical)


amount_skew.fires(5.05, window=[{"total_amount": 100.0}, {"total_amount": 10000.0}])
amount_skew.quiet(1, window={"times": 3})


@signal(
    title={"en": "Largest amount", "zh": "最高单次费用"},
    says={
        "en": "The dearest claim costs {value:,.0f} (peers: {peer_median:,.0f}).",
        "zh": "最高单次费用{value:,.0f}元(同类机构中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="high",
    default=0,
    volume=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses=_REFERRAL,
)
def largest_amount(window):
    """Largest total amount of one claim in the window, in the payer's currency.

    Blind spot: grows with the number of claims.

    释义:窗口内单张结算单的最高总费用。
    盲区:随结算单数增长。
    """
    return window.total_amount.max()


largest_amount.fires(90000, window=[{"total_amount": 90000.0}, {}])
largest_amount.quiet(1000, window={"times": 3})


@signal(
    title={"en": "Amount above case mix", "zh": "超出病种预期的金额"},
    says={
        "en": "The window's charges exceed what the same diagnoses usually cost by {value:,.0f} "
        "(peers: {peer_median:,.0f}).",
        "zh": "观察期费用超出同病种预期{value:,.0f}元(同类机构中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="high",
    low=float("-inf"),
    default=0,
    volume=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses=_REFERRAL,
)
def amount_above_expected(window):
    """Total amount less what the diagnoses usually cost, summed over the window; negative below it.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:总费用减去诊断的通常费用,窗口内合计;低于预期为负。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    return (window.total_amount - window.expected_amount).sum()


amount_above_expected.fires(
    1500, window={"times": 3}, norms={"domain": "case", "code": "outpatient|I10", "amount": 500.0}
)
amount_above_expected.quiet(
    0, window={"times": 3}, norms={"domain": "case", "code": "outpatient|I10", "amount": 1000.0}
)


@signal(
    title={"en": "Share of claims far above case mix", "zh": "费用明显高于病种预期的占比"},
    says={
        "en": "{value:.1%} of the claims cost far more than their diagnosis usually does (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单费用明显高于同病种预期(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T16",
    cites=["decree-735.38.2", "open-rule-config"],
    excuses=_REFERRAL,
)
def dear_claim_share(window, limits):
    """Share of claims above `cost_ratio` times the amount that their diagnosis usually costs.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:费用超过诊断通常费用`cost_ratio`倍的结算单占比。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    return share(window.total_amount > window.expected_amount * limits.cost_ratio)


dear_claim_share.fires(
    0.5,
    window=[{"total_amount": 1500.0}, {"total_amount": 500.0}],
    norms={"domain": "case", "code": "outpatient|I10", "amount": 500.0},
)
dear_claim_share.quiet(0, window={"times": 3}, norms={"domain": "case", "code": "outpatient|I10", "amount": 1000.0})
