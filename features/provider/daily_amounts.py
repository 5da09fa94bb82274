"""What a day of care costs at a provider: short, dear stays beside long, cheap ones."""

from fraud.signals import ratio, share, signal

_SURGERY = {"en": "Surgery and implants within short stays.", "zh": "短期住院内的手术与植入耗材。"}


@signal(
    title={"en": "Mean daily amount", "zh": "日均费用"},
    says={
        "en": "A day of care costs {value:,.0f}, averaged over claims (peers: {peer_median:,.0f}).",
        "zh": "按单平均,每日费用{value:,.0f}元(同类机构中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="high",
    peer=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses=_SURGERY,
)
def mean_daily_amount(window):
    """Mean over claims of the amount for each day, first and last day included, in the payer's currency.

    Blind spot: case mix; see `provider.daily_amount_against_expected`.

    释义:各单日均费用(首末日均计入)的均值。
    盲区:病种构成,见`provider.daily_amount_against_expected`。
    """
    return ratio(window.total_amount, window.stay_days + 1).mean()


mean_daily_amount.fires(3000, window=[{"total_amount": 5000.0}, {"stay_days": 9, "total_amount": 10000.0}])
mean_daily_amount.quiet(1000, window={"times": 2})


@signal(
    title={"en": "Largest daily amount", "zh": "最高日均费用"},
    says={
        "en": "The claim that is dearest by the day costs {value:,.0f} a day (peers: {peer_median:,.0f}).",
        "zh": "日均费用最高的一单为每日{value:,.0f}元(同类机构中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="high",
    default=0,
    volume=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses=_SURGERY,
)
def largest_daily_amount(window):
    """Largest amount for each day among the claims of the window, in the payer's currency.

    Blind spot: grows with the number of claims.

    释义:窗口内各单的最高日均费用。
    盲区:随结算单数增长。
    """
    return ratio(window.total_amount, window.stay_days + 1).max()


largest_daily_amount.fires(5000, window=[{"total_amount": 5000.0}, {}])
largest_daily_amount.quiet(500, window={"stay_days": 1, "times": 2})


@signal(
    title={"en": "Spread of daily amounts", "zh": "日均费用离散程度"},
    says={
        "en": "Daily amounts differ by {value:.2f} times their mean from claim to claim (peers: {peer_median:.2f}).",
        "zh": "单间日均费用标准差为均值的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times the mean",
    riskier="high",
    peer=True,
    violation="T17",
    cites=["causes-35", "upcoding-nber"],
    excuses=_SURGERY,
)
def daily_amount_spread(window):
    """Standard deviation of the claims' daily amounts over their mean.

    Blind spot: a provider with one claim has no spread; small ones have a poor estimate of it.

    释义:各单日均费用的标准差除以其均值。
    盲区:只有一张结算单的机构没有离散度,小机构估计不准。
    """
    daily = ratio(window.total_amount, window.stay_days + 1)
    return ratio(daily.std(), daily.mean())


daily_amount_spread.fires(2**0.5, window=[{"total_amount": 0.0}, {"total_amount": 2000.0}])
daily_amount_spread.quiet(0, window={"times": 3})


@signal(
    title={"en": "Short stays are the dear ones", "zh": "短住院日均费用偏高"},
    says={
        "en": "A day costs {value:.2f} times as much averaged over claims as averaged over days: short stays are the "
        "dear ones (peers: {peer_median:.2f}).",
        "zh": "按单平均的日费用为按日平均的{value:.2f}倍,短住院费用偏高(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    default=1,
    peer=True,
    violation="T17",
    cites=["causes-35", "decree-735.38.2"],
    excuses=_SURGERY,
)
def short_stays_dear(window):
    """Mean of the claims' daily amounts over the daily amount of all their days together.

    Blind spot: long stays billed too dear lower the figure.

    释义:各单日均费用的均值除以全部天数合计的日均费用。
    盲区:收费过高的长期住院会拉低该值。
    """
    daily = ratio(window.total_amount, window.stay_days + 1).mean()
    return ratio(daily, ratio(window.total_amount.sum(), (window.stay_days + 1).sum()))


short_stays_dear.fires(3.025, window=[{"total_amount": 1000.0}, {"total_amount": 1000.0, "stay_days": 9}])
short_stays_dear.quiet(1, window={"times": 2})


@signal(
    title={"en": "Daily amount against case mix", "zh": "日均费用与病种预期之比"},
    says={
        "en": "A day of care costs {value:.2f} times what days with the same diagnoses usually cost "
        "(peers: {peer_median:.2f}).",
        "zh": "日均费用为同病种预期的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    default=1,
    peer=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses=_SURGERY,
)
def daily_amount_against_expected(window):
    """Sum of the claims' daily amounts over the sum of what a day with their diagnoses usually costs.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:各单日均费用合计除以其诊断的通常日均费用合计。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    usual = ratio(window.expected_amount, window.expected_days + 1)
    daily = ratio(window.total_amount, window.stay_days + 1)
    return ratio(daily.sum(where=usual.notnull()), usual.sum())


daily_amount_against_expected.fires(
    2,
    window={"visit_type": "inpatient", "total_amount": 10000.0, "stay_days": 4, "times": 3},
    norms={"domain": "case", "code": "inpatient|I10", "amount": 5000.0, "days": 4.0},
)
daily_amount_against_expected.quiet(
    1,
    window={"visit_type": "inpatient", "total_amount": 5000.0, "stay_days": 4, "times": 3},
    norms={"domain": "case", "code": "inpatient|I10", "amount": 5000.0, "days": 4.0},
)


@signal(
    title={"en": "Daily amounts above case mix", "zh": "超出病种预期的日均费用合计"},
    says={
        "en": "Daily amounts exceed what days with the same diagnoses usually cost by {value:,.0f}, added up over "
        "claims (peers: {peer_median:,.0f}).",
        "zh": "各单日均费用超出同病种预期合计{value:,.0f}元(同类机构中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="high",
    low=float("-inf"),
    default=0,
    volume=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses=_SURGERY,
)
def daily_amount_above_expected(window):
    """Daily amount less what a day with the diagnosis usually costs, summed over claims; negative below it.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:日均费用减去诊断的通常日均费用,各单合计;低于预期为负。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    usual = ratio(window.expected_amount, window.expected_days + 1)
    return (ratio(window.total_amount, window.stay_days + 1) - usual).sum()


daily_amount_above_expected.fires(
    3000,
    window={"visit_type": "inpatient", "total_amount": 10000.0, "stay_days": 4, "times": 3},
    norms={"domain": "case", "code": "inpatient|I10", "amount": 5000.0, "days": 4.0},
)
daily_amount_above_expected.quiet(
    0,
    window={"visit_type": "inpatient", "total_amount": 5000.0, "stay_days": 4, "times": 3},
    norms={"domain": "case", "code": "inpatient|I10", "amount": 5000.0, "days": 4.0},
)


def _costly(window, times):
    """Whether a claim costs far more by the day than its diagnosis usually does."""
    usual = ratio(window.expected_amount, window.expected_days + 1)
    return ratio(window.total_amount, window.stay_days + 1) >= usual * times


@signal(
    title={"en": "Share of claims costly by the day", "zh": "日均费用畸高占比"},
    says={
        "en": "{value:.1%} of the claims cost far more by the day than their diagnosis usually does "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单日均费用远高于同病种预期(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses=_SURGERY,
)
def costly_day_share(window, limits):
    """Share of claims whose daily amount is at least `costly_day` times what their diagnosis usually costs a day.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:日均费用达到诊断通常日均费用`costly_day`倍以上的结算单占比。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    return share(_costly(window, limits.costly_day))


_CHEAP = {"visit_type": "inpatient", "total_amount": 5000.0, "stay_days": 4}
_COSTLY = {"visit_type": "inpatient", "total_amount": 20000.0, "stay_days": 4}
_NORM = {"domain": "case", "code": "inpatient|I10", "amount": 5000.0, "days": 4.0}
costly_day_share.fires(0.5, window=[_CHEAP, _COSTLY], norms=_NORM)
costly_day_share.quiet(0, window=[_CHEAP, _CHEAP], norms=_NORM)


@signal(
    title={"en": "Claims costly by the day", "zh": "日均费用畸高单数"},
    says={
        "en": "{value:,.0f} claims cost far more by the day than their diagnosis usually does "
        "(peers: {peer_median:,.0f}).",
        "zh": "{value:,.0f}张结算单日均费用远高于同病种预期(同类机构中位数{peer_median:,.0f}张)。",
    },
    unit="claims",
    riskier="high",
    default=0,
    volume=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses=_SURGERY,
)
def costly_day_claims(window, limits):
    """Claims whose daily amount is at least `costly_day` times what their diagnosis usually costs a day.

    Blind spot: grows with the number of claims.

    释义:日均费用达到诊断通常日均费用`costly_day`倍以上的结算单数。
    盲区:随结算单数增长。
    """
    return window.count(where=_costly(window, limits.costly_day))


costly_day_claims.fires(1, window=[_CHEAP, _COSTLY], norms=_NORM)
costly_day_claims.quiet(0, window=[_CHEAP, _CHEAP], norms=_NORM)
