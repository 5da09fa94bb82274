"""When a provider's claims happen."""

from fraud.signals import ratio, share, signal


@signal(
    title={"en": "Share begun at month end", "zh": "月末就诊占比"},
    says={
        "en": "{value:.1%} of the claims begin in the last days of a month (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单于月末开始就诊(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T24",
    cites=["decree-735.38.5", "cash-out-case"],
    excuses={"en": "Chance in a small provider.", "zh": "小型机构的偶然波动。"},
)
def month_end_share(window, limits):
    """Share of the window's claims that begin on or after the `month_end_day` of a month.

    Blind spot: budgets that end on other days.

    释义:窗口内在当月`month_end_day`日及以后开始的结算单占比。
    盲区:在其他日期截止的预算。
    """
    return share(window.admitted_at.day() >= limits.month_end_day)


month_end_share.fires(0.5, window=[{"days_ago": 1}, {"days_ago": 20}])
month_end_share.quiet(0, window={"days_ago": 20, "times": 2})


@signal(
    title={"en": "Claims in the busiest month", "zh": "最忙月份结算单数"},
    says={
        "en": "{value:,.0f} claims began in the busiest month (peers: {peer_median:,.0f}).",
        "zh": "最忙月份有{value:,.0f}张结算单(同类机构中位数{peer_median:,.0f}张)。",
    },
    unit="claims",
    riskier="high",
    default=0,
    volume=True,
    violation="T40",
    cites=["project-document-002"],
    excuses={"en": "A large hospital.", "zh": "规模较大的机构。"},
)
def busiest_month(by_month):
    """Claims that began in the month with most of them.

    Blind spot: grows with the number of claims.

    释义:开始就诊最多一月的结算单数。
    盲区:随结算单数增长。
    """
    return by_month.claims.max()


busiest_month.fires(8, window=[{"days_ago": 5, "times": 8}, {"days_ago": 50, "times": 2}])
busiest_month.quiet(1, window={})


@signal(
    title={"en": "Admissions on the busiest day", "zh": "最忙一日就诊数"},
    says={
        "en": "{value:,.0f} claims began on the busiest day (peers: {peer_median:,.0f}).",
        "zh": "最忙一日有{value:,.0f}张结算单开始就诊(同类机构中位数{peer_median:,.0f}张)。",
    },
    unit="claims",
    riskier="high",
    default=0,
    volume=True,
    violation="T03",
    cites=["decree-735.40.3"],
    excuses={"en": "Group vaccination or screening on one day.", "zh": "同日集中开展筛查等服务。"},
)
def busiest_day(by_day):
    """Claims that began on the day with most of them.

    Blind spot: grows with the number of claims.

    释义:开始就诊最多一日的结算单数。
    盲区:随结算单数增长。
    """
    return by_day.claims.max()


busiest_day.fires(4, window={"days_ago": 5, "times": 4})
busiest_day.quiet(1, window=[{"days_ago": 5}, {"days_ago": 6}])


@signal(
    title={"en": "Recent surge", "zh": "近期激增倍数"},
    says={
        "en": "The last weeks had {value:.1f} times the claims of the months before, day for day "
        "(peers: {peer_median:.1f}).",
        "zh": "近期日均结算单为此前数月的{value:.1f}倍(同类机构中位数{peer_median:.1f}倍)。",
    },
    unit="times",
    riskier="high",
    peer=True,
    violation="T40",
    cites=["project-document-002"],
    excuses={"en": "A new department, or an outbreak in the region.", "zh": "新设科室,或区域性疫情。"},
)
def recent_surge(window, limits):
    """Claims a day in the last `surge_days` over claims a day in the `surge_baseline_days` before them.

    Blind spot: late uploads make the last weeks look empty.

    释义:近`surge_days`天的日均结算单数除以此前`surge_baseline_days`天的日均数。
    盲区:上传滞后使最近几周显得偏少。
    """
    recent = window.count(where=window.days_ago <= limits.surge_days)
    before = window.days_ago.between(limits.surge_days + 1, limits.surge_days + limits.surge_baseline_days)
    return ratio(recent * limits.surge_baseline_days, window.count(where=before) * limits.surge_days)


recent_surge.fires(6, window=[{"days_ago": 5, "times": 2}, {"days_ago": 60}])
recent_surge.quiet(1, window=[{"days_ago": 5}, {"days_ago": 60, "times": 3}])
recent_surge.quiet(None, window={"days_ago": 5})


@signal(
    title={"en": "Settlements in bursts at one terminal", "zh": "同一终端短时集中结算占比"},
    says={
        "en": "{value:.1%} of the claims settled in bursts of several persons within minutes at one terminal "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单为数分钟内多人在同一终端集中结算(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T24",
    severity="serious",
    cites=["decree-735.38.5", "decree-735.40.1", "cash-out-case"],
    excuses={"en": "The busiest desk at the busiest hour.", "zh": "高峰时段的繁忙窗口。"},
)
def terminal_burst_share(by_terminal_slot, limits):
    """Share of the claims, among those that tell terminal and time, in five minutes with `burst_persons` persons.

    Blind spot: a burst that lies across two slots of five minutes.

    释义:记有终端与时刻的结算单中,同一终端五分钟内达`burst_persons`人的占比。
    盲区:跨越两个五分钟时段的集中结算。
    """
    burst = by_terminal_slot.patients >= limits.burst_persons
    return ratio(by_terminal_slot.claims.sum(where=burst).fill_null(0), by_terminal_slot.claims.sum())


terminal_burst_share.fires(1, window={"patient_id": "P#", "terminal_id": "T", "times": 4})
terminal_burst_share.quiet(0, window=[{"terminal_id": "T", "hour": h} for h in (8, 9, 10, 11)])


@signal(
    title={"en": "Settlements in bursts under one physician", "zh": "同一医师短时集中结算占比"},
    says={
        "en": "{value:.1%} of the claims settled in bursts of several persons within minutes under one physician "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单为数分钟内多人在同一医师名下集中结算(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T06",
    severity="serious",
    cites=["decree-735.40.1", "decree-735.40.3", "phantom-visit-case"],
    excuses={
        "en": "Settlements that the desk does at the end of a session.",
        "zh": "窗口在门诊结束时集中结算。",
    },
)
def physician_burst_share(by_physician_slot, limits):
    """Share of the claims, among those that tell physician and time, in five minutes with `burst_persons` persons.

    Blind spot: a burst that lies across two slots of five minutes.

    释义:记有医师与时刻的结算单中,同一医师五分钟内达`burst_persons`人的占比。
    盲区:跨越两个五分钟时段的集中结算。
    """
    burst = by_physician_slot.patients >= limits.burst_persons
    return ratio(by_physician_slot.claims.sum(where=burst).fill_null(0), by_physician_slot.claims.sum())


physician_burst_share.fires(1, window={"patient_id": "P#", "times": 4})
physician_burst_share.quiet(0, window=[{"patient_id": "P#", "hour": h} for h in (8, 9, 10, 11)])
