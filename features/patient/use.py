"""How much and where one person uses care."""

from fraud.signals import ratio, share, signal

_ILL = {"en": "A severe illness.", "zh": "重症患者。"}
_CHRONIC = {"en": "A chronic disease treated regularly.", "zh": "慢性病规律治疗。"}


@signal(
    title={"en": "Claims", "zh": "结算次数"},
    says={
        "en": "The person had {value:,.0f} claims in the window (peers: {peer_median:,.0f}).",
        "zh": "参保人在观察期内结算{value:,.0f}次(同类人群中位数{peer_median:,.0f}次)。",
    },
    unit="claims",
    riskier="high",
    default=0,
    volume=True,
    peer=True,
    violation="T27",
    national_code="GZ10000204002000",
    cites=["national-rules-2023"],
    excuses=_CHRONIC,
)
def claims(window):
    """Claims of the person in the window.

    Blind spot: a card used by a whole family.

    释义:窗口内个人结算次数。
    盲区:全家共用一张卡。
    """
    return window.count()


claims.fires(40, window={"times": 40})
claims.quiet(0)


@signal(
    title={"en": "Total amount", "zh": "总费用"},
    says={
        "en": "The person's charges add up to {value:,.0f} (peers: {peer_median:,.0f}).",
        "zh": "参保人总费用{value:,.0f}元(同类人群中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="high",
    default=0,
    volume=True,
    peer=True,
    violation="T27",
    cites=["decree-735.41"],
    excuses=_ILL,
)
def total_amount(window):
    """Total amount of the person's claims in the window, in the payer's currency.

    Blind spot: says nothing about need.

    释义:窗口内个人结算单总费用。
    盲区:不说明诊疗需要。
    """
    return window.total_amount.sum()


total_amount.fires(40000, window={"times": 40})
total_amount.quiet(0)


@signal(
    title={"en": "Inpatient stays", "zh": "住院次数"},
    says={
        "en": "The person had {value:,.0f} inpatient stays in the window (peers: {peer_median:,.0f}).",
        "zh": "参保人在观察期内住院{value:,.0f}次(同类人群中位数{peer_median:,.0f}次)。",
    },
    unit="stays",
    riskier="high",
    default=0,
    volume=True,
    peer=True,
    violation="T03",
    national_code="GZ10000204004000",
    cites=["national-rules-2023"],
    excuses=_ILL,
)
def stays(window):
    """Inpatient stays of the person in the window.

    Blind spot: stays paid by another payer.

    释义:窗口内个人住院次数。
    盲区:由其他支付方支付的住院。
    """
    return window.count(where=window.visit_type == "inpatient")


stays.fires(6, window={"visit_type": "inpatient", "times": 6})
stays.quiet(0, window={"times": 6})


@signal(
    title={"en": "Nights in hospital", "zh": "住院总天数"},
    says={
        "en": "The person spent {value:,.0f} nights in hospital (peers: {peer_median:,.0f}).",
        "zh": "参保人住院合计{value:,.0f}天(同类人群中位数{peer_median:,.0f}天)。",
    },
    unit="days",
    riskier="high",
    default=0,
    volume=True,
    violation="T02",
    national_code="GZ10000204004000",
    cites=["decree-735.38.1"],
    excuses=_ILL,
)
def nights(window):
    """Nights of the person's inpatient stays in the window.

    Blind spot: leave from the ward.

    释义:个人住院总夜数。
    盲区:请假离院。
    """
    return window.stay_days.sum(where=window.visit_type == "inpatient")


nights.fires(120, window={"visit_type": "inpatient", "days_ago": 60, "stay_days": 30, "times": 4})
nights.quiet(0, window={"times": 6})


@signal(
    title={"en": "Providers", "zh": "就诊机构数"},
    says={
        "en": "{value:,.0f} providers billed for the person (peers: {peer_median:,.0f}).",
        "zh": "参保人在{value:,.0f}家机构结算(同类人群中位数{peer_median:,.0f}家)。",
    },
    unit="providers",
    riskier="high",
    default=0,
    volume=True,
    peer=True,
    violation="T27",
    cites=["gao-18-15"],
    excuses=_ILL,
)
def providers(window):
    """Different providers that billed for the person in the window.

    Blind spot: branches of one chain count apart.

    释义:窗口内为个人结算的不同机构数。
    盲区:同一连锁的分店分别计数。
    """
    return window.provider_id.nunique()


providers.fires(9, window={"provider_id": "H#", "times": 9})
providers.quiet(1, window={"times": 9})


@signal(
    title={"en": "Prescribers and pharmacies", "zh": "多医师、多药店购药"},
    says={
        "en": "The person used at least {value:.0f} physicians and as many pharmacies; above {limit:.0f} of both is "
        "looked at.",
        "zh": "参保人同时使用了不少于{value:.0f}名医师和{value:.0f}家药店,均超过{limit:.0f}即应核查。",
    },
    unit="of both",
    riskier="high",
    default=0,
    volume=True,
    violation="T23",
    national_code="GZ10000204003000",
    limit="prescribers_and_pharmacies",
    cites=["gao-18-15", "national-rules-2023", "decree-735.41"],
    excuses={"en": "Shortages of a drug, or a move to another town.", "zh": "药品短缺,或搬迁异地。"},
)
def prescribers_and_pharmacies(window):
    """The smaller of the numbers of different physicians and of different pharmacies in the window.

    Blind spot: pharmacies that settle without naming the prescriber.

    释义:窗口内不同医师数与不同药店数中的较小者。
    盲区:结算时不记录处方医师的药店。
    """
    physicians = window.physician_id.nunique(where=window.visit_type != "pharmacy")
    pharmacies = window.provider_id.nunique(where=window.visit_type == "pharmacy")
    return (physicians < pharmacies).ifelse(physicians, pharmacies)


prescribers_and_pharmacies.fires(
    5,
    window=[
        {"physician_id": "D#", "times": 6},
        {"visit_type": "pharmacy", "provider_id": "Y#", "physician_id": None, "times": 5},
    ],
)
_BOUGHT = {"visit_type": "pharmacy", "provider_id": "Y#", "physician_id": None}
prescribers_and_pharmacies.fires(
    5, window=[{"physician_id": "D#", "provider_id": "H#", "times": 5}, {**_BOUGHT, "times": 9}]
)
prescribers_and_pharmacies.fires(
    6,
    window=[
        {"physician_id": "D#", "visit_type": "chronic", "times": 6},
        {**_BOUGHT, "times": 6},
        {**_BOUGHT, "times": 6},
    ],
)
prescribers_and_pharmacies.quiet(4, window=[{"physician_id": "D#", "times": 4}, {**_BOUGHT, "times": 9}])
# The prescriber whom a pharmacy names does not count as one that was seen.
prescribers_and_pharmacies.quiet(1, window=[{}, {**_BOUGHT, "physician_id": "D#", "times": 9}])
prescribers_and_pharmacies.quiet(
    1, window=[{"physician_id": "D#", "times": 6}, {"visit_type": "pharmacy", "provider_id": "Y"}]
)


@signal(
    title={"en": "Share at one provider", "zh": "就诊集中于一家机构的比例"},
    says={
        "en": "{value:.0%} of the person's claims came from one provider (peers: {peer_median:.0%}).",
        "zh": "参保人{value:.0%}的结算单来自同一机构(同类人群中位数{peer_median:.0%})。",
    },
    unit="share",
    version=2,
    riskier="low",
    high=1,
    peer=True,
    violation="T27",
    cites=["gao-18-15", "decree-735.41"],
    excuses={"en": "An illness that several specialists treat.", "zh": "病情需多个专科诊治。"},
)
def one_provider_share(by_provider):
    """Share of the person's claims that came from the provider with most of them; low where many are visited.

    Blind spot: a person with one claim has a share of 1.

    释义:个人结算单中来自就诊最多机构的占比;辗转多家机构者偏低。
    盲区:只有一张结算单者占比为1。
    """
    return ratio(by_provider.claims.max(), by_provider.claims.sum())


one_provider_share.fires(0.2, window={"provider_id": "H#", "times": 5})
one_provider_share.quiet(1, window={"times": 6})


@signal(
    title={"en": "Days with several providers", "zh": "同日多机构就诊占比"},
    says={
        "en": "{value:.1%} of the claims had another provider on the same day (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单当日,参保人还在其他机构就诊(同类人群中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T27",
    cites=["gao-18-15", "national-rules-2023"],
    excuses={"en": "A visit, and the prescription filled on the way home.", "zh": "就诊后凭处方到药店购药。"},
)
def several_providers_share(window_signals):
    """Share of the person's claims with `claim.same_day_providers` above one.

    Blind spot: the first claim of a day does not know the second.

    释义:个人结算单中`claim.same_day_providers`大于1的占比。
    盲区:当日第一张结算单不知道第二张。
    """
    return share(window_signals.same_day_providers > 1)


several_providers_share.fires(0.5, window=[{"hour": 8}, {"provider_id": "H2", "hour": 11}])
several_providers_share.quiet(0, window=[{"days_ago": 30}, {"provider_id": "H2", "days_ago": 20}])


@signal(
    title={"en": "Readmissions", "zh": "短期再入院次数"},
    says={
        "en": "{value:,.0f} claims of the person began soon after a stay (peers: {peer_median:,.0f}).",
        "zh": "参保人出院后短期内再次就诊{value:,.0f}次(同类人群中位数{peer_median:,.0f}次)。",
    },
    unit="claims",
    riskier="high",
    default=0,
    volume=True,
    violation="T01",
    national_code="ZB10000205008000",
    cites=["national-rules-2023", "decree-735.38.1"],
    excuses={"en": "Planned cycles of treatment.", "zh": "计划性周期治疗。"},
)
def readmissions(window_signals, limits):
    """Inpatient claims that began within `unplanned_readmission_days` of a stay at any provider.

    Blind spot: planned stays count where the data do not say that they were planned.

    释义:距任一机构住院不超过`unplanned_readmission_days`天再次住院的次数。
    盲区:数据未注明为计划内的住院也计入。
    """
    soon = window_signals.days_since_stay <= limits.unplanned_readmission_days
    return window_signals.count(where=soon & (window_signals.visit_type == "inpatient"))


readmissions.fires(1, window=[{"visit_type": "inpatient", "days_ago": 40}, {"visit_type": "inpatient", "days_ago": 20}])
readmissions.quiet(0, window={"visit_type": "inpatient", "days_ago": 40})


@signal(
    title={"en": "Share of early refills", "zh": "提前购药占比"},
    says={
        "en": "{value:.1%} of the person's claims dispense a drug of which much is left (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单为前次药品尚余较多时再次购药(同类人群中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T23",
    cites=["decree-735.41", "decree-735.38.2"],
    excuses={"en": "Stocking up before a journey.", "zh": "外出前备药。"},
)
def early_refill_share(window_signals, limits):
    """Share of the person's claims with `claim.supply_left` above the limit of that name.

    Blind spot: the same substance under another code.

    释义:个人结算单中`claim.supply_left`超过同名限值的占比。
    盲区:编码不同的同一药物。
    """
    return share(window_signals.supply_left > limits.supply_left)


_DRUG = {"item_code": "X", "category": "drug"}
_BOX = {"lines": [{"days_supply": 30.0}]}
early_refill_share.fires(0.5, window=[{"days_ago": 20, **_BOX}, {"days_ago": 10, **_BOX}], catalogue=_DRUG)
early_refill_share.quiet(0, window=[{"days_ago": 50, **_BOX}, {"days_ago": 10, **_BOX}], catalogue=_DRUG)


@signal(
    title={"en": "Early refills across pharmacies", "zh": "跨机构提前购药次数"},
    says={
        "en": "Drugs were refilled early at another provider {value:,.0f} times; above {limit:,.0f} is looked at.",
        "zh": "参保人跨机构提前购药{value:,.0f}次,超过{limit:,.0f}次即应核查。",
    },
    unit="times",
    riskier="high",
    default=0,
    volume=True,
    violation="T23",
    severity="serious",
    limit="patient_early_refills",
    cites=["decree-735.41", "rules-2026", "gao-18-15"],
    excuses={"en": "A second home.", "zh": "两地居住。"},
)
def early_refills_elsewhere(window_signals):
    """Sum of `claim.early_refills_elsewhere` over the person's claims in the window.

    Blind spot: the same substance under another code.

    释义:窗口内个人结算单的`claim.early_refills_elsewhere`合计。
    盲区:编码不同的同一药物。
    """
    return window_signals.early_refills_elsewhere.sum()


early_refills_elsewhere.fires(
    6,
    window=[{"days_ago": d, "provider_id": f"H{d}", **_BOX} for d in (20, 19, 18, 17)],
    catalogue=_DRUG,
)
# One box at home, then four at another house; and two drugs in step at three houses.
_AFTER = [{"days_ago": d, "provider_id": "H2", **_BOX} for d in (19, 18, 17, 16)]
early_refills_elsewhere.fires(4, window=[{"days_ago": 20, **_BOX}, *_AFTER], catalogue=_DRUG)
_PAIR = {"lines": [{"item_code": c, "days_supply": 30.0} for c in "XY"]}
early_refills_elsewhere.fires(
    6,
    window=[{"days_ago": d, "provider_id": f"H{d}", **_PAIR} for d in (20, 19, 18)],
    catalogue=[_DRUG, {**_DRUG, "item_code": "Y"}],
)
early_refills_elsewhere.quiet(3, window=[{"days_ago": 20, **_BOX}, *_AFTER[:3]], catalogue=_DRUG)
# A box a month, each at another house.
early_refills_elsewhere.quiet(
    0, window=[{"days_ago": d, "provider_id": f"H{d}", **_BOX} for d in (160, 130, 100, 70, 40)], catalogue=_DRUG
)
early_refills_elsewhere.quiet(
    1, window=[{"days_ago": 20, **_BOX}, {"days_ago": 10, "provider_id": "H2", **_BOX}], catalogue=_DRUG
)
