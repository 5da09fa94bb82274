"""What a provider's lines are made of, and how often they break a rule."""

from fraud.signals import ratio, share, signal

_DRUG = {"item_code": "X", "category": "drug"}
_OTHER = {"item_code": "Y", "category": "treatment"}


def _part(lines, category):
    """Share of the amount of all lines that a category has."""
    return ratio(lines.amount.sum(where=lines.category == category).fill_null(0), lines.amount.sum())


@signal(
    title={"en": "Share of drugs", "zh": "药费占比"},
    says={
        "en": "Drugs make up {value:.0%} of the charges (peers: {peer_median:.0%}).",
        "zh": "药费占总费用的{value:.0%}(同类机构中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T16",
    national_code="ZB10000205001000",
    cites=["national-rules-2023", "decree-735.38.2"],
    excuses={"en": "A pharmacy, or a clinic for chronic patients.", "zh": "药店,或以慢性病配药为主的门诊。"},
)
def drug_share(window_lines):
    """Amount of drugs over the amount of all lines in the window.

    Blind spot: drugs billed under other categories.

    释义:窗口内药品金额占全部明细金额的比例。
    盲区:归入其他类别收费的药品。
    """
    return _part(window_lines, "drug")


drug_share.fires(1, window={"lines": [{}]}, catalogue=[_DRUG, _OTHER])
drug_share.quiet(0.5, window={"lines": [{}, {"item_code": "Y"}]}, catalogue=[_DRUG, _OTHER])


@signal(
    title={"en": "Share of examinations and tests", "zh": "检查检验费占比"},
    says={
        "en": "Examinations and tests make up {value:.0%} of the charges (peers: {peer_median:.0%}).",
        "zh": "检查检验费占总费用的{value:.0%}(同类机构中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T15",
    national_code="ZB10000205002000",
    cites=["national-rules-2023", "decree-735.38.2"],
    excuses={"en": "A centre for examinations.", "zh": "检查检验中心。"},
)
def exam_share(window_lines):
    """Amount of examinations and laboratory tests over the amount of all lines in the window.

    Blind spot: packages billed as treatment.

    释义:窗口内检查检验金额占全部明细金额的比例。
    盲区:以治疗名义收费的检查套餐。
    """
    return _part(window_lines, "examination") + _part(window_lines, "laboratory")


_EXAM = {"item_code": "X", "category": "examination"}
exam_share.fires(1, window={"lines": [{}]}, catalogue=[_EXAM, _OTHER])
exam_share.quiet(0.5, window={"lines": [{}, {"item_code": "Y"}]}, catalogue=[_EXAM, _OTHER])


@signal(
    title={"en": "Share of consumables", "zh": "耗材费占比"},
    says={
        "en": "Consumables make up {value:.0%} of the charges (peers: {peer_median:.0%}).",
        "zh": "耗材费占总费用的{value:.0%}(同类机构中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T16",
    national_code="ZB10000205003000",
    cites=["national-rules-2023", "decree-735.38.2"],
    excuses={"en": "A department that implants.", "zh": "开展植入手术的科室。"},
)
def consumable_share(window_lines):
    """Amount of consumables over the amount of all lines in the window.

    Blind spot: consumables included in the price of a procedure.

    释义:窗口内耗材金额占全部明细金额的比例。
    盲区:已计入手术价格的耗材。
    """
    return _part(window_lines, "consumable")


_IMPLANT = {"item_code": "X", "category": "consumable"}
consumable_share.fires(1, window={"lines": [{}]}, catalogue=[_IMPLANT, _OTHER])
consumable_share.quiet(0.5, window={"lines": [{}, {"item_code": "Y"}]}, catalogue=[_IMPLANT, _OTHER])


@signal(
    title={"en": "Share of therapy", "zh": "康复理疗费占比"},
    says={
        "en": "Therapy makes up {value:.0%} of the charges (peers: {peer_median:.0%}).",
        "zh": "康复理疗费占总费用的{value:.0%}(同类机构中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T34",
    national_code="ZB10000205004000",
    cites=["national-rules-2023", "decree-735.38.2"],
    excuses={"en": "A rehabilitation hospital.", "zh": "康复专科医院。"},
)
def therapy_share(window_lines):
    """Amount of therapy over the amount of all lines in the window.

    Blind spot: therapy billed as treatment.

    释义:窗口内康复理疗金额占全部明细金额的比例。
    盲区:以治疗名义收费的理疗。
    """
    return _part(window_lines, "therapy")


_THERAPY = {"item_code": "X", "category": "therapy"}
therapy_share.fires(1, window={"lines": [{}]}, catalogue=[_THERAPY, _OTHER])
therapy_share.quiet(0.5, window={"lines": [{}, {"item_code": "Y"}]}, catalogue=[_THERAPY, _OTHER])


@signal(
    title={"en": "Positive rate of large equipment", "zh": "大型设备检查阳性率"},
    says={
        "en": "Only {value:.0%} of the examinations on large equipment found something (peers: {peer_median:.0%}); "
        "below {limit:.0%} is looked at.",
        "zh": "大型设备检查阳性率仅{value:.0%}(同类机构中位数{peer_median:.0%}),低于{limit:.0%}即应核查。",
    },
    unit="share",
    riskier="low",
    high=1,
    peer=True,
    violation="T15",
    national_code="GZ10000302001000",
    limit="positive_rate",
    cites=["project-document-003", "decree-735.38.2"],
    excuses={"en": "Screening, and follow-up after cancer.", "zh": "筛查,或肿瘤术后随访。"},
)
def positive_rate(window_lines, limits):
    """Share of reported examinations on large equipment that found something; unknown below `few_reports` reports.

    Blind spot: what a report calls positive.

    释义:已出报告的大型设备检查中有发现的占比;少于`few_reports`份时未知。
    盲区:报告如何界定阳性。
    """
    reported = window_lines.large_equipment & window_lines.report_positive.notnull()
    found = window_lines.report_positive.mean(where=reported)
    return (window_lines.count(where=reported) >= limits.few_reports).ifelse(found, None)


_SCANNER = {"item_code": "X", "category": "examination", "large_equipment": True}
positive_rate.fires(
    0.1,
    window={"lines": [{"report_positive": True, "times": 3}, {"report_positive": False, "times": 27}]},
    catalogue=_SCANNER,
)
positive_rate.fires(
    0.29,
    window={"lines": [{"report_positive": True, "times": 29}, {"report_positive": False, "times": 71}]},
    catalogue=_SCANNER,
)
# Examinations without a report change nothing.
positive_rate.fires(0, window={"lines": [{"report_positive": False, "times": 30}, {"times": 70}]}, catalogue=_SCANNER)
positive_rate.quiet(
    0.3,
    window={"lines": [{"report_positive": True, "times": 9}, {"report_positive": False, "times": 21}]},
    catalogue=_SCANNER,
)
# A blood count is no large equipment.
positive_rate.quiet(
    None,
    window={"lines": [{"report_positive": False, "times": 40}]},
    catalogue={**_SCANNER, "category": "laboratory", "large_equipment": False},
)
positive_rate.quiet(
    0.5, window={"lines": [{"report_positive": b, "times": 15} for b in (True, False)]}, catalogue=_SCANNER
)
positive_rate.quiet(None, window={"lines": [{"report_positive": False}]}, catalogue=_SCANNER)


@signal(
    title={"en": "Share of round amounts", "zh": "整数金额占比"},
    says={
        "en": "{value:.1%} of the claims have a round amount (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单为整数金额(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T24",
    cites=["decree-735.38.5", "cash-out-case"],
    excuses={"en": "Items with round prices.", "zh": "收费项目本身为整数定价。"},
)
def round_amount_share(window, limits):
    """Share of the window's claims whose total amount is a whole multiple of `round_amount`.

    Blind spot: cash-outs of uneven amounts.

    释义:窗口内总费用为`round_amount`整数倍的结算单占比。
    盲区:金额不取整的套现。
    """
    return share((window.total_amount % limits.round_amount == 0) & (window.total_amount > 0))


round_amount_share.fires(1, window={"total_amount": 500.0, "times": 3})
round_amount_share.quiet(0, window={"total_amount": 512.3, "times": 3})


@signal(
    title={"en": "Occupancy of licensed beds", "zh": "核定床位使用率"},
    says={
        "en": "The nights billed would fill the licensed beds to {value:.0%} (peers: {peer_median:.0%}); above "
        "{limit:.0%} is looked at.",
        "zh": "结算住院天数相当于核定床位使用率{value:.0%}(同类机构中位数{peer_median:.0%}),超过{limit:.0%}即应核查。",
    },
    unit="share",
    riskier="high",
    peer=True,
    violation="T02",
    severity="serious",
    limit="bed_occupancy",
    cites=["decree-735.38.1", "occupancy-case"],
    excuses={"en": "Extra beds allowed in an epidemic.", "zh": "疫情期间获准加床。"},
)
def bed_occupancy(provider, by_month, window):
    """Nights of inpatient stays over licensed beds times the days of the months in which claims began.

    Blind spot: patients of other payers fill beds too, so the true figure is higher.

    释义:住院总夜数除以核定床位数与有就诊开始各月天数的乘积。
    盲区:其他支付方的患者也占床位,实际使用率更高。
    """
    nights = window.stay_days.sum(where=window.visit_type == "inpatient")
    return ratio(nights, provider.licensed_beds * by_month.count() * _DAYS_IN_MONTH)


_DAYS_IN_MONTH = 30.4375
_WARD = {"provider_id": "H", "licensed_beds": 2}
bed_occupancy.fires(
    120 / (2 * 30.4375),
    window={"visit_type": "inpatient", "days_ago": 25, "stay_days": 20, "times": 6},
    providers=_WARD,
)
_MONTH = {"visit_type": "inpatient", "days_ago": 25, "stay_days": 24}
_SIXTEEN = {"provider_id": "H", "licensed_beds": 16}
bed_occupancy.fires(488 / 487, window=[{**_MONTH, "times": 20}, {**_MONTH, "stay_days": 8}], providers=_SIXTEEN)
bed_occupancy.fires(96 / (2 * 30.4375), window=[{**_MONTH, "times": 4}, {"days_ago": 10, "times": 9}], providers=_WARD)
bed_occupancy.quiet(1, window=[{**_MONTH, "times": 20}, {**_MONTH, "stay_days": 7}], providers=_SIXTEEN)
bed_occupancy.quiet(None, window={**_MONTH, "times": 20}, providers={"provider_id": "H"})
# The same nights over two months.
bed_occupancy.quiet(
    96 / (2 * 2 * 30.4375),
    window=[{**_MONTH, "times": 2}, {**_MONTH, "days_ago": 60, "times": 2}],
    providers=_WARD,
)
bed_occupancy.quiet(
    20 / (2 * 30.4375), window={"visit_type": "inpatient", "days_ago": 25, "stay_days": 20}, providers=_WARD
)


@signal(
    title={"en": "Share of unregistered visits", "zh": "未挂号结算占比"},
    says={
        "en": "{value:.1%} of the visits were settled without registration (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的就诊未经挂号即结算(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T06",
    cites=["decree-735.40.1", "phantom-visit-case"],
    excuses={"en": "A village clinic without a register.", "zh": "村级机构无挂号环节。"},
)
def unregistered_share(window):
    """Share of the window's claims that are known not to have been registered.

    Blind spot: registrations made afterwards.

    释义:窗口内已知未挂号的结算单占比。
    盲区:事后补挂的号。
    """
    return share(~window.registered)


unregistered_share.fires(1, window={"registered": False, "times": 2})
unregistered_share.quiet(0, window={"registered": True, "times": 2})


@signal(
    title={"en": "Share of claims with forbidden charges", "zh": "违规收费结算单占比"},
    says={
        "en": "{value:.1%} of the claims bill an item twice or one that another item includes "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单存在重复收费或包含项目收费(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T07",
    national_code="GZ10000102012000",
    cites=["decree-735.38.3", "national-rules-2023", "ncci"],
    excuses={"en": "A fault in the mapping of items.", "zh": "项目对码设置有误。"},
)
def duplicate_charge_share(window_signals, limits):
    """Share of the window's claims that pass the limit of `claim.times_billed` or of `claim.included_lines`.

    Blind spot: pairs that the exclusion table does not hold.

    释义:窗口内超过`claim.times_billed`或`claim.included_lines`限值的结算单占比。
    盲区:互斥表中没有的项目对。
    """
    twice = window_signals.times_billed > limits.times_billed
    return share(twice | (window_signals.included_lines > limits.included_lines))


_PAIR = {"item_code": "X", "included_item_code": "Y", "kind": "included"}
duplicate_charge_share.fires(0.5, window=[{"lines": [{}, {"item_code": "Y"}]}, {"lines": [{}]}], exclusions=_PAIR)
duplicate_charge_share.quiet(0, window={"lines": [{}], "times": 2}, exclusions=_PAIR)


@signal(
    title={"en": "Share of claims above a price cap", "zh": "超限价结算单占比"},
    says={
        "en": "{value:.1%} of the claims bill a price above its cap (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单存在超限价收费(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T09",
    national_code="GZ10000102001000",
    cites=["decree-735.38.3", "national-rules-2023"],
    excuses={"en": "A price list that has changed.", "zh": "价格目录调整。"},
)
def over_cap_share(window_signals, limits):
    """Share of the window's claims whose `claim.price_over_cap` passes its limit.

    Blind spot: items without a cap.

    释义:窗口内`claim.price_over_cap`超过限值的结算单占比。
    盲区:没有限价的项目。
    """
    return share(window_signals.price_over_cap > limits.price_over_cap)


_CAP = {"item_code": "X", "price_cap": 10.0}
over_cap_share.fires(0.5, window=[{"lines": [{"unit_price": 20.0}]}, {"lines": [{}]}], catalogue=_CAP)
over_cap_share.quiet(0, window={"lines": [{}], "times": 2}, catalogue=_CAP)


@signal(
    title={"en": "Share of early refills", "zh": "提前购药占比"},
    says={
        "en": "{value:.1%} of the claims dispense a drug of which much is left (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单为前次药品尚余较多时再次购药(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T23",
    cites=["decree-735.38.5", "decree-735.38.2"],
    excuses={"en": "Holidays, before which many stock up.", "zh": "节假日前集中备药。"},
)
def early_refill_share(window_signals, limits):
    """Share of the window's claims with `claim.supply_left` above the limit of that name.

    Blind spot: the same substance under another code.

    释义:窗口内`claim.supply_left`超过同名限值的结算单占比。
    盲区:编码不同的同一药物。
    """
    return share(window_signals.supply_left > limits.supply_left)


_BOX = {"lines": [{"days_supply": 30.0}], "hour": 9}
early_refill_share.fires(0.5, window=[{"days_ago": 20, **_BOX}, {"days_ago": 10, **_BOX}], catalogue=_DRUG)
early_refill_share.quiet(0, window=[{"days_ago": 50, **_BOX}, {"days_ago": 10, **_BOX}], catalogue=_DRUG)


@signal(
    title={"en": "Days of stays without care", "zh": "住院期间无诊疗天数占比"},
    says={
        "en": "On average {value:.0%} of the days of a stay bring only bed and nursing (peers: {peer_median:.0%}).",
        "zh": "平均每次住院有{value:.0%}的天数仅有床位与护理收费(同类机构中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    low=-1,
    high=1,
    peer=True,
    violation="T02",
    cites=["decree-735.38.1", "bed-hanging-case"],
    excuses={"en": "A long-term ward.", "zh": "设有长期病区。"},
)
def idle_days(window_signals):
    """Mean of `claim.idle_days_share` over the stays of the window.

    Blind spot: care that is billed in one sum.

    释义:窗口内各次住院`claim.idle_days_share`的均值。
    盲区:合并一笔收费的诊疗。
    """
    return window_signals.idle_days_share.mean()


_BEDS = [{"item_code": "X", "category": "bed"}, {"item_code": "Y", "category": "drug"}]
_IDLE = {"visit_type": "inpatient", "stay_days": 9, "lines": [{}, {"item_code": "Y"}]}
idle_days.fires(0.9, window=[_IDLE, _IDLE], catalogue=_BEDS)
idle_days.quiet(0, window={"visit_type": "inpatient", "lines": [{}, {"item_code": "Y"}]}, catalogue=_BEDS)


@signal(
    title={"en": "Visits elsewhere during stays", "zh": "住院期间院外就诊占比"},
    says={
        "en": "During {value:.1%} of the claims the patient was seen elsewhere in the middle of the stay "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单患者住院期间在其他机构就诊(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T02",
    cites=["decree-735.38.1", "bed-hanging-case"],
    excuses={"en": "Examinations that the hospital cannot do.", "zh": "本院不具备的检查项目外送。"},
)
def absent_patient_share(window_signals):
    """Share of the window's claims with a `claim.visits_during_stay` or a `claim.overlapping_stays`.

    Blind spot: absences that leave no claim.

    释义:窗口内有`claim.visits_during_stay`或`claim.overlapping_stays`的结算单占比。
    盲区:未留下结算记录的离院。
    """
    return share((window_signals.visits_during_stay > 0) | (window_signals.overlapping_stays > 0))


absent_patient_share.fires(
    1,
    window={"visit_type": "inpatient", "days_ago": 20, "stay_days": 8},
    others={"patient_id": "P", "provider_id": "H2", "days_ago": 16},
)
absent_patient_share.quiet(0, window={"visit_type": "inpatient", "days_ago": 20, "stay_days": 8})
