"""Where a provider's stays are longer, or more alike, than what its cases would explain."""

from fraud.signals import ratio, signal

_REFERRAL = {
    "en": "A referral centre treats the severest cases of a diagnosis.",
    "zh": "转诊中心收治同病种中的重症患者。",
}
_REHAB = {"en": "Rehabilitation and long-term wards.", "zh": "设有康复、长期护理病区。"}
_STAY = {"visit_type": "inpatient", "stay_days": 4}
_LONG = {"visit_type": "inpatient", "stay_days": 20}
_NORM = {"domain": "case", "code": "inpatient|I10", "amount": 1000.0, "days": 4.0}


@signal(
    title={"en": "Length of stay against case mix", "zh": "住院天数与病种预期之比"},
    says={
        "en": "Stays last {value:.2f} times what the same diagnoses usually need (peers: {peer_median:.2f}).",
        "zh": "住院天数为同病种预期的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    default=1,
    peer=True,
    violation="T02",
    cites=["decree-735.38.1", "decree-735.38.2"],
    excuses=_REFERRAL,
)
def stay_against_expected(window):
    """Nights of all stays in the window over the nights that their diagnoses usually take.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:窗口内全部住院夜数除以其诊断的通常夜数。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    stays = (window.visit_type == "inpatient") & window.expected_days.notnull()
    return ratio(window.stay_days.sum(where=stays), window.expected_days.sum(where=stays))


stay_against_expected.fires(5, window=[_LONG, _LONG], norms=_NORM)
stay_against_expected.quiet(1, window=[_STAY, _STAY], norms=_NORM)


@signal(
    title={"en": "Nights above case mix", "zh": "超出病种预期的住院天数"},
    says={
        "en": "Stays exceed what the same diagnoses usually need by {value:,.0f} nights in all "
        "(peers: {peer_median:,.0f}).",
        "zh": "住院天数合计超出同病种预期{value:,.0f}天(同类机构中位数{peer_median:,.0f}天)。",
    },
    unit="days",
    riskier="high",
    low=float("-inf"),
    default=0,
    volume=True,
    violation="T02",
    cites=["decree-735.38.1"],
    excuses=_REFERRAL,
)
def nights_above_expected(window):
    """Nights of stays less what their diagnoses usually take, summed over the window; negative below it.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:住院夜数减去诊断的通常夜数,窗口内合计;低于预期为负。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    return (window.stay_days - window.expected_days).sum(where=window.visit_type == "inpatient")


nights_above_expected.fires(32, window=[_LONG, _LONG], norms=_NORM)
nights_above_expected.quiet(0, window=[_STAY, _STAY], norms=_NORM)


@signal(
    title={"en": "Mean length of stay", "zh": "平均住院天数"},
    says={
        "en": "A stay lasts {value:.1f} nights on average (peers: {peer_median:.1f}).",
        "zh": "平均住院{value:.1f}天(同类机构中位数{peer_median:.1f}天)。",
    },
    unit="days",
    riskier="high",
    peer=True,
    violation="T02",
    cites=["decree-735.38.1"],
    excuses=_REHAB,
)
def mean_stay(window):
    """Mean nights of the inpatient stays in the window.

    Blind spot: case mix; see `provider.stay_against_expected`.

    释义:窗口内住院的平均夜数。
    盲区:病种构成,见`provider.stay_against_expected`。
    """
    return window.stay_days.mean(where=window.visit_type == "inpatient")


mean_stay.fires(20, window=[_LONG, _LONG])
mean_stay.quiet(4, window=[_STAY, _STAY])


@signal(
    title={"en": "Spread of lengths of stay", "zh": "住院天数离散程度"},
    says={
        "en": "Lengths of stay differ by {value:.2f} times their mean (peers: {peer_median:.2f}).",
        "zh": "住院天数标准差为均值的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times the mean",
    riskier="high",
    peer=True,
    violation="T02",
    cites=["decree-735.38.1"],
    excuses={"en": "Acute and long-term wards under one roof.", "zh": "同时设有急性期与长期病区。"},
)
def stay_spread(window):
    """Standard deviation of the lengths of stay (nights and one more) over their mean.

    Blind spot: a provider with one stay has no spread; small ones have a poor estimate of it.

    释义:住院长度(夜数加一)的标准差除以其均值。
    盲区:只有一次住院的机构没有离散度,小机构估计不准。
    """
    days, stays = window.stay_days + 1, window.visit_type == "inpatient"
    return ratio(days.std(where=stays), days.mean(where=stays))


stay_spread.fires(2**0.5 * 0.8, window=[{"visit_type": "inpatient"}, {"visit_type": "inpatient", "stay_days": 8}])
stay_spread.quiet(0, window=[_STAY, _STAY])


@signal(
    title={"en": "Longest stay", "zh": "最长住院天数"},
    says={
        "en": "The longest stay lasts {value:.0f} nights (peers: {peer_median:.0f}).",
        "zh": "最长一次住院{value:.0f}天(同类机构中位数{peer_median:.0f}天)。",
    },
    unit="days",
    riskier="high",
    default=0,
    volume=True,
    violation="T02",
    cites=["decree-735.38.1"],
    excuses=_REHAB,
)
def longest_stay(window):
    """Nights of the longest inpatient stay in the window.

    Blind spot: grows with the number of stays; see `provider.longest_stay_for_size`.

    释义:窗口内最长一次住院的夜数。
    盲区:随住院次数增长,见`provider.longest_stay_for_size`。
    """
    return window.stay_days.max(where=window.visit_type == "inpatient")


longest_stay.fires(20, window=[_LONG, _STAY])
longest_stay.quiet(4, window=[_STAY, _STAY])


@signal(
    title={"en": "Longest stay for the number of stays", "zh": "按住院量折算的最长住院"},
    says={
        "en": "The longest stay, set against its diagnosis, is {value:.2f} times as long as is likely among so many "
        "stays (peers: {peer_median:.2f}).",
        "zh": "按病种折算的最长住院为相同住院量下可能值的{value:.2f}倍(同类机构中位数{peer_median:.2f}倍)。",
    },
    unit="times",
    riskier="high",
    peer=True,
    violation="T02",
    cites=["decree-735.38.1"],
    excuses=_REHAB,
)
def longest_stay_for_size(window):
    """Largest ratio of stay to expected stay, over one plus the logarithm of the number of stays.

    The largest of n waiting times grows with the logarithm of n, so that large and small providers compare.
    Blind spot: one extreme stay is enough.

    释义:住院天数与预期之比的最大值,除以一加住院次数的对数。
    盲区:一次极端住院即可抬高。
    """
    stays = window.visit_type == "inpatient"
    largest = ratio(window.stay_days + 1, window.expected_days + 1).max(where=stays)
    return ratio(largest, window.count(where=stays).cast("float64").nullif(0.0).ln() + 1)


longest_stay_for_size.fires(21 / 5, window=[_LONG], norms=_NORM)
longest_stay_for_size.quiet(1, window=[_STAY], norms=_NORM)


@signal(
    title={"en": "Share of long stays", "zh": "长期住院占比"},
    says={
        "en": "{value:.1%} of the stays are long ones (peers: {peer_median:.1%}).",
        "zh": "长期住院占全部住院的{value:.1%}(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T02",
    cites=["decree-735.38.1"],
    excuses=_REHAB,
)
def long_stay_share(window, limits):
    """Share of inpatient stays that last at least `long_stay_days` days, first and last day included.

    Blind spot: case mix; see `provider.long_for_case_share`.

    释义:住院至少`long_stay_days`天(首末日均计入)的住院占比。
    盲区:病种构成,见`provider.long_for_case_share`。
    """
    stays = window.visit_type == "inpatient"
    return (window.stay_days + 1 >= limits.long_stay_days).mean(where=stays)


long_stay_share.fires(0.5, window=[_LONG, _STAY])
long_stay_share.quiet(0, window=[_STAY, _STAY])


@signal(
    title={"en": "Long stays", "zh": "长期住院次数"},
    says={
        "en": "{value:,.0f} stays are long ones (peers: {peer_median:,.0f}).",
        "zh": "长期住院{value:,.0f}次(同类机构中位数{peer_median:,.0f}次)。",
    },
    unit="stays",
    riskier="high",
    default=0,
    volume=True,
    violation="T02",
    cites=["decree-735.38.1"],
    excuses=_REHAB,
)
def long_stays(window, limits):
    """Inpatient stays that last at least `long_stay_days` days, first and last day included.

    Blind spot: grows with the number of stays.

    释义:住院至少`long_stay_days`天(首末日均计入)的住院次数。
    盲区:随住院次数增长。
    """
    return window.count(where=(window.visit_type == "inpatient") & (window.stay_days + 1 >= limits.long_stay_days))


long_stays.fires(1, window=[_LONG, _STAY])
long_stays.quiet(0, window=[_STAY, _STAY])


@signal(
    title={"en": "Share of stays long for their case", "zh": "住院天数明显超病种预期占比"},
    says={
        "en": "{value:.1%} of the stays last far longer than their diagnosis usually takes (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的住院天数明显超过同病种预期(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T02",
    cites=["decree-735.38.1", "bed-hanging-case"],
    excuses=_REFERRAL,
)
def long_for_case_share(window, limits):
    """Share of inpatient stays of at least `long_for_case` times the nights that their diagnosis usually takes.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:住院夜数达到诊断通常夜数`long_for_case`倍以上的住院占比。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    long = (window.stay_days >= window.expected_days * limits.long_for_case).fill_null(False)
    return long.mean(where=window.visit_type == "inpatient")


long_for_case_share.fires(0.5, window=[_LONG, _STAY], norms=_NORM)
long_for_case_share.quiet(0, window=[_STAY, _STAY], norms=_NORM)


@signal(
    title={"en": "Share of short, dear stays", "zh": "短住院高费用占比"},
    says={
        "en": "{value:.1%} of the stays are short and yet far dearer than their diagnosis usually is "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的住院天数短而费用明显高于同病种预期(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T17",
    cites=["causes-35", "decree-735.38.2"],
    excuses={"en": "Day surgery with implants.", "zh": "使用植入耗材的日间手术。"},
)
def short_dear_share(window, limits):
    """Share of inpatient stays of at most `short_stay_days` nights that cost above `cost_ratio` times the usual.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:不超过`short_stay_days`夜而费用超过通常`cost_ratio`倍的住院占比。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    short = window.stay_days <= limits.short_stay_days
    dear = (window.total_amount > window.expected_amount * limits.cost_ratio).fill_null(False)
    return (short & dear).mean(where=window.visit_type == "inpatient")


short_dear_share.fires(
    0.5,
    window=[{"visit_type": "inpatient", "stay_days": 1, "total_amount": 3000.0}, _STAY],
    norms=_NORM,
)
short_dear_share.quiet(0, window=[_STAY, _STAY], norms=_NORM)


@signal(
    title={"en": "Share of stays of one length", "zh": "住院天数集中于同一天数的占比"},
    says={
        "en": "{value:.0%} of the stays last exactly the same number of nights (peers: {peer_median:.0%}).",
        "zh": "{value:.0%}的住院天数完全相同(同类机构中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T01",
    cites=["decree-735.38.1"],
    excuses={
        "en": "One operation with a fixed course, such as cataract surgery.",
        "zh": "流程固定的单一术式,如白内障手术。",
    },
)
def same_length_share(by_stay, limits):
    """Share of the stays of a night or more that have the most frequent length; unknown below `few_stays` stays.

    Stays that end on the day on which a payment cap is reached pile up at one length.
    Blind spot: caps that differ by diagnosis.

    释义:一夜以上住院中,最常见住院天数的占比;少于`few_stays`次时未知。
    盲区:因病种而异的天数上限。
    """
    overnight = by_stay.stay_days > 0
    stays = by_stay.claims.sum(where=overnight)
    return (stays >= limits.few_stays).ifelse(ratio(by_stay.claims.max(where=overnight), stays), None)


same_length_share.fires(
    0.8,
    window=[{"visit_type": "inpatient", "stay_days": 15, "times": 8}, {**_STAY, "times": 2}],
)
same_length_share.quiet(0.2, window=[{"visit_type": "inpatient", "stay_days": n} for n in (2, 3, 4, 5, 6)])
same_length_share.quiet(None, window=[_STAY, _STAY])
