"""Charges that a rule forbids: billed twice, included in another item, too dear, too many."""

from datetime import datetime

from fraud.signals import ratio, signal


@signal(
    title={"en": "The same line billed repeatedly", "zh": "同一项目同日重复收费次数"},
    says={
        "en": "One item is billed {value:.0f} times for the same day at the same price; {limit:.0f} is allowed.",
        "zh": "同一项目同日以相同单价收费{value:.0f}次,应为{limit:.0f}次。",
    },
    unit="times",
    riskier="high",
    default=0,
    violation="T07",
    kind="violation",
    national_code="GZ10000102012000",
    limit="times_billed",
    cites=["decree-735.38.3", "national-rules-2023", "ncci"],
    excuses={"en": "A service given twice a day and billed line by line.", "zh": "一日多次的服务逐次记录。"},
)
def times_billed(lines):
    """Largest number of lines of the claim with the same item, day and unit price.

    Blind spot: copies with another price or day, and one line with twice the units (see `claim.units_over_limit`).
    """
    return lines.same_item_lines.max()


times_billed.fires(3, lines=[{"times": 3}, {"item_code": "Y"}])
times_billed.quiet(1, lines=[{}, {"item_code": "Y"}, {"unit_price": 9.0}])


@signal(
    title={"en": "Items included in another item", "zh": "已被包含的重复收费项目数"},
    says={
        "en": "{value:.0f} line(s) bill an item that another billed item of the same day already includes; "
        "{limit:.0f} is allowed.",
        "zh": "{value:.0f}行项目已包含在同日另一收费项目中,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T07",
    kind="violation",
    national_code="GZ10000102012000",
    limit="included_lines",
    cites=["decree-735.38.3", "national-rules-2023", "ncci"],
    excuses={"en": "Two separate sessions on one day.", "zh": "同日两次独立的操作。"},
)
def included_lines(lines):
    """Lines whose item is included in, or part of the package of, another item billed on the same day.

    Blind spot: pairs that the exclusion table does not hold.
    """
    return lines.count(where=lines.included_by.notnull())


_PAIR = {"item_code": "X", "included_item_code": "Y", "kind": "included"}
included_lines.fires(1, lines=[{"item_code": "X"}, {"item_code": "Y"}], exclusions=_PAIR)
included_lines.quiet(0, lines=[{"item_code": "Y"}, {"item_code": "Z"}], exclusions=_PAIR)


@signal(
    title={"en": "Price against the cap", "zh": "单价与限价之比"},
    says={
        "en": "The dearest line costs {value:.2f} times the highest price allowed; {limit:.2f} is the most.",
        "zh": "单价最高为限价的{value:.2f}倍,应不超过{limit:.2f}倍。",
    },
    unit="times",
    riskier="high",
    violation="T09",
    kind="violation",
    national_code="GZ10000102001000",
    limit="price_over_cap",
    cites=["decree-735.38.3", "national-rules-2023"],
    excuses={
        "en": "A price list that has changed since the catalogue was loaded.",
        "zh": "价格目录更新滞后。",
    },
)
def price_over_cap(lines):
    """Largest ratio of a line's unit price to the price cap of its item.

    Blind spot: items without a cap.
    """
    return ratio(lines.unit_price, lines.price_cap).max()


price_over_cap.fires(2, lines=[{"unit_price": 20.0}], catalogue={"item_code": "X", "price_cap": 10.0})
price_over_cap.quiet(1, lines=[{}], catalogue={"item_code": "X", "price_cap": 10.0})
price_over_cap.quiet(None, lines=[{}])


@signal(
    title={"en": "Units against the daily limit", "zh": "日用量与限定频次之比"},
    says={
        "en": "An item is billed {value:.1f} times as often on one day as its rule allows; {limit:.1f} is the most.",
        "zh": "某项目单日收费数量为限定频次的{value:.1f}倍,应不超过{limit:.1f}倍。",
    },
    unit="times",
    riskier="high",
    violation="T10",
    kind="violation",
    national_code="GZ10000102014000",
    limit="units_over_limit",
    cites=["decree-735.38.3", "decree-735.38.6", "national-rules-2023", "ncci"],
    excuses={"en": "Several days recorded on one day.", "zh": "多日费用集中记于一日。"},
)
def units_over_limit(lines):
    """Largest ratio of the units of an item billed for one day to the units that it may have.

    Blind spot: items without a limit.
    """
    return ratio(lines.day_quantity, lines.max_per_day).max()


_TWO = {"item_code": "X", "max_per_day": 2.0}
units_over_limit.fires(2, lines=[{"quantity": 3.0}, {"quantity": 1.0}], catalogue=_TWO)
units_over_limit.quiet(0.5, lines=[{}], catalogue=_TWO)


@signal(
    title={"en": "Bed days beyond the stay", "zh": "超出住院天数的床位日"},
    says={
        "en": "{value:.0f} more bed day(s) are billed than the stay has; {limit:.0f} is allowed.",
        "zh": "床位费收取天数超出实际住院{value:.0f}天,应为{limit:.0f}天。",
    },
    unit="days",
    riskier="high",
    default=0,
    violation="T10",
    kind="violation",
    national_code="GZ10000201008000",
    limit="bed_days_beyond_stay",
    cites=["decree-735.38.3", "national-rules-2023"],
    excuses={"en": "A local rule that counts the day of discharge.", "zh": "当地规则将出院日计入。"},
)
def bed_days_beyond_stay(claim, lines):
    """Units of bed items less the nights of the stay, at least 0; a stay within one day has one bed day.

    Blind spot: beds billed for relatives.
    """
    nights = (claim.stay_days < 1).ifelse(1, claim.stay_days)
    beyond = lines.quantity.sum(where=lines.category == "bed") - nights
    return (beyond > 0).ifelse(beyond, 0)


_BED = {"item_code": "X", "category": "bed"}
bed_days_beyond_stay.fires(2, claim={"visit_type": "inpatient", "stay_days": 5}, lines=[{"times": 7}], catalogue=_BED)
bed_days_beyond_stay.quiet(0, claim={"visit_type": "inpatient", "stay_days": 5}, lines=[{"times": 5}], catalogue=_BED)


@signal(
    title={"en": "Charges dated outside the stay", "zh": "计费日期不在住院期间的项目数"},
    says={
        "en": "{value:.0f} line(s) are dated outside the stay; {limit:.0f} is allowed.",
        "zh": "{value:.0f}行项目的计费日期不在住院期间,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T31",
    kind="violation",
    national_code="GZ10000201008000",
    limit="charges_outside_stay",
    cites=["decree-735.40.3", "national-rules-2023"],
    excuses={"en": "A result that was entered late.", "zh": "结果补录导致日期滞后。"},
)
def charges_outside_stay(lines):
    """Lines of an inpatient claim whose day of service lies before admission or after discharge.

    Blind spot: sources that give every line the day of settlement.
    """
    early = lines.service_day < lines.claim_admitted_at.date()
    late = lines.service_day > lines.claim_discharged_at.date()
    return lines.count(where=(lines.claim_visit_type == "inpatient") & (early | late))


charges_outside_stay.fires(
    1, claim={"visit_type": "inpatient", "stay_days": 2}, lines=[{"service_at": datetime(2024, 6, 20)}, {}]
)
charges_outside_stay.quiet(0, claim={"visit_type": "inpatient", "stay_days": 2}, lines=[{}])


@signal(
    title={"en": "Items not meant for this kind of visit", "zh": "超限定就医方式的项目数"},
    says={
        "en": "{value:.0f} line(s) bill an item that is paid only for another kind of visit; {limit:.0f} is allowed.",
        "zh": "{value:.0f}行项目超出限定就医方式,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    kind="violation",
    national_code="GZ10000102009000",
    limit="wrong_visit_lines",
    cites=["decree-735.38.6", "national-rules-2023"],
    excuses={"en": "A visit that turned into an admission.", "zh": "门诊当日转为住院。"},
)
def wrong_visit_lines(lines):
    """Lines whose item is limited to a kind of visit that this claim is not.

    Blind spot: items whose limit the catalogue does not state.
    """
    return lines.count(where=lines.visit_type_limit != lines.claim_visit_type)


wrong_visit_lines.fires(1, lines=[{}], catalogue={"item_code": "X", "visit_type_limit": "inpatient"})
wrong_visit_lines.quiet(0, lines=[{}], catalogue={"item_code": "X", "visit_type_limit": "outpatient"})
