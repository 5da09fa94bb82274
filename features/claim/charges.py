"""Charges that a rule forbids: billed twice, included in another item, too dear, too many."""

from datetime import date, datetime

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

    释义:本单中项目、日期与单价均相同的明细最多行数。
    盲区:改价或改日期的重复收费,以及一行两倍数量(见`claim.units_over_limit`)。
    """
    return lines.same_item_lines.max()


times_billed.fires(3, lines=[{"times": 3}, {"item_code": "Y"}])
times_billed.fires(2, claim={"visit_type": "inpatient", "stay_days": 3}, lines=[{}, {}])
times_billed.fires(2, lines=[{"quantity": 1.0}, {"quantity": 4.0}])
times_billed.quiet(1, lines=[{}, {"item_code": "Y"}, {"unit_price": 9.0}])
times_billed.quiet(1, lines=[{"service_at": datetime(2024, 6, 12)}, {"service_at": datetime(2024, 6, 13)}])
times_billed.quiet(1, lines=[{"quantity": 6.0}])


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

    释义:同日已收费的其他项目所包含、或属于其套餐的项目明细行数。
    盲区:互斥表中没有的项目对。
    """
    return lines.count(where=lines.included_by.notnull())


_PAIR = {"item_code": "X", "included_item_code": "Y", "kind": "included"}
included_lines.fires(1, lines=[{"item_code": "X"}, {"item_code": "Y"}], exclusions=_PAIR)
included_lines.fires(2, lines=[{"item_code": "X"}, {"item_code": "Y", "times": 2}], exclusions=_PAIR)
included_lines.fires(
    1, lines=[{"item_code": "X"}, {"item_code": "Y"}], exclusions={**_PAIR, "valid_from": date(2024, 1, 1)}
)
included_lines.quiet(0, lines=[{"item_code": "Y"}, {"item_code": "Z"}], exclusions=_PAIR)
included_lines.quiet(
    0, lines=[{"item_code": "X"}, {"item_code": "Y", "service_at": datetime(2024, 6, 13)}], exclusions=_PAIR
)
included_lines.quiet(
    0, lines=[{"item_code": "X"}, {"item_code": "Y"}], exclusions={**_PAIR, "valid_to": date(2023, 12, 31)}
)


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

    释义:明细单价与该项目最高限价的最大比值。
    盲区:没有限价的项目。
    """
    return ratio(lines.unit_price, lines.price_cap).max()


_CAPPED = [{"item_code": "X", "price_cap": 10.0}, {"item_code": "Y", "price_cap": 10.0}]
price_over_cap.fires(2, lines=[{"unit_price": 20.0}], catalogue={"item_code": "X", "price_cap": 10.0})
price_over_cap.fires(1.5, lines=[{}, {"item_code": "Y", "unit_price": 15.0}], catalogue=_CAPPED)
price_over_cap.fires(1.1, lines=[{"unit_price": 11.0, "quantity": 4.0}], catalogue=_CAPPED[0])
price_over_cap.quiet(1, lines=[{}], catalogue=_CAPPED[0])
price_over_cap.quiet(0.5, lines=[{"unit_price": 5.0, "quantity": 9.0}], catalogue=_CAPPED[0])
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

    释义:某项目单日收费数量与其限定数量的最大比值。
    盲区:没有限定的项目。
    """
    return ratio(lines.day_quantity, lines.max_per_day).max()


_TWO, _ONE = {"item_code": "X", "max_per_day": 2.0}, {"item_code": "X", "max_per_day": 1.0}
units_over_limit.fires(2, lines=[{"quantity": 3.0}, {"quantity": 1.0}], catalogue=_TWO)
units_over_limit.fires(1.5, lines=[{"quantity": 3.0}], catalogue=_TWO)
units_over_limit.fires(5, lines=[{}, {"item_code": "Y", "quantity": 5.0}], catalogue=[_TWO, {**_ONE, "item_code": "Y"}])
units_over_limit.quiet(0.5, lines=[{}], catalogue=_TWO)
units_over_limit.quiet(
    1, lines=[{"quantity": 2.0}, {"quantity": 2.0, "service_at": datetime(2024, 6, 13)}], catalogue=_TWO
)
units_over_limit.quiet(None, lines=[{"quantity": 40.0}])


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

    释义:床位项目数量减去住院夜数,最低为0;当日出入院计1个床位日。
    盲区:为家属收取的床位费。
    """
    nights = (claim.stay_days < 1).ifelse(1, claim.stay_days)
    beyond = lines.quantity.sum(where=lines.category == "bed") - nights
    return (beyond > 0).ifelse(beyond, 0)


_NIGHT = {"visit_type": "inpatient", "stay_days": 1}
_BED = {"item_code": "X", "category": "bed"}
bed_days_beyond_stay.fires(2, claim={"visit_type": "inpatient", "stay_days": 5}, lines=[{"times": 7}], catalogue=_BED)
bed_days_beyond_stay.fires(1, claim=_NIGHT, lines=[{"quantity": 2.0}], catalogue=_BED)
bed_days_beyond_stay.fires(3, claim=_NIGHT, lines=[{"quantity": 3.0}, {"quantity": 1.0}], catalogue=_BED)
bed_days_beyond_stay.quiet(0, claim=_NIGHT, lines=[{}], catalogue=_BED)
bed_days_beyond_stay.quiet(0, claim={**_NIGHT, "stay_days": 0}, lines=[{}], catalogue=_BED)
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

    释义:住院结算单中服务日期早于入院或晚于出院的明细行数。
    盲区:把全部明细记为结算日的数据来源。
    """
    early = lines.service_day < lines.claim_admitted_at.date()
    late = lines.service_day > lines.claim_discharged_at.date()
    return lines.count(where=(lines.claim_visit_type == "inpatient") & (early | late))


_TWO_NIGHTS = {"visit_type": "inpatient", "stay_days": 2}
charges_outside_stay.fires(
    1, claim={"visit_type": "inpatient", "stay_days": 2}, lines=[{"service_at": datetime(2024, 6, 20)}, {}]
)
charges_outside_stay.fires(2, claim=_TWO_NIGHTS, lines=[{"service_at": datetime(2024, 6, 11), "times": 2}])
charges_outside_stay.fires(1, claim=_TWO_NIGHTS, lines=[{"service_at": datetime(2024, 6, 15, 0, 1)}])
charges_outside_stay.quiet(0, claim=_TWO_NIGHTS, lines=[{}])
charges_outside_stay.quiet(0, claim=_TWO_NIGHTS, lines=[{"service_at": datetime(2024, 6, 14, 23)}])
charges_outside_stay.quiet(0, lines=[{"service_at": datetime(2024, 6, 20)}])


@signal(
    title={"en": "Items not meant for this kind of visit", "zh": "超限定就医方式的项目数"},
    says={
        "en": "{value:.0f} line(s) bill an item that is paid only for another kind of visit; {limit:.0f} is allowed.",
        "zh": "{value:.0f}行项目超出限定就医方式,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    version=2,
    violation="T19",
    kind="violation",
    national_code="GZ10000102009000",
    limit="wrong_visit_lines",
    cites=["decree-735.38.6", "national-rules-2023"],
    excuses={"en": "A visit that turned into an admission.", "zh": "门诊当日转为住院。"},
)
def wrong_visit_lines(lines):
    """Lines of services and consumables that are limited to a kind of visit that this claim is not.

    Drugs have a rule of their own, `claim.wrong_visit_drugs`. Blind spot: items whose limit the catalogue does not
    state.

    释义:限定就医方式与本单不符的诊疗项目与耗材行数。
    盲区:目录未载明限定的项目。
    """
    return lines.count(where=(lines.category != "drug") & (lines.visit_type_limit != lines.claim_visit_type))


_ON_A_WARD = {"item_code": "X", "category": "nursing", "visit_type_limit": "inpatient"}
wrong_visit_lines.fires(1, lines=[{}], catalogue=_ON_A_WARD)
wrong_visit_lines.fires(2, claim={"visit_type": "emergency"}, lines=[{"times": 2}], catalogue=_ON_A_WARD)
wrong_visit_lines.fires(
    1, claim={"visit_type": "inpatient"}, lines=[{}], catalogue={**_ON_A_WARD, "visit_type_limit": "outpatient"}
)
wrong_visit_lines.quiet(0, lines=[{}], catalogue={**_ON_A_WARD, "visit_type_limit": "outpatient"})
wrong_visit_lines.quiet(0, claim={"visit_type": "inpatient"}, lines=[{}], catalogue=_ON_A_WARD)
wrong_visit_lines.quiet(0, lines=[{}], catalogue={**_ON_A_WARD, "category": "drug"})


@signal(
    title={"en": "Second operation at full price", "zh": "同次多项手术未折价收费"},
    says={
        "en": "Besides the first, {value:.0f} operation(s) of one day are billed at nearly their full price; "
        "{limit:.0f} is usual.",
        "zh": "除首项外,同日另有{value:.0f}项手术接近全价收费,通常为{limit:.0f}项。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T09",
    national_code="GZ10000102002000",
    limit="full_price_operations",
    cites=["decree-735.38.3", "national-rules-2023"],
    excuses={
        "en": "Operations through separate incisions, each paid in full.",
        "zh": "不同切口的独立手术,按规定全价收费。",
    },
)
def full_price_operations(lines, limits):
    """Lines of surgery billed at nearly the highest price of the item, less one, at least 0.

    Where two operations share an incision, the second is billed at a part of its price. Blind spot: which operations
    share one, and operations on different days of a stay.

    释义:接近最高限价收取的手术行数减一,最低为0。
    盲区:哪些手术属于同一次,以及同次住院不同日期的手术。
    """
    full = (lines.category == "surgery") & (ratio(lines.unit_price, lines.price_cap) > limits.full_price_share)
    more = lines.count(where=full) - 1
    return (more > 0).ifelse(more, 0)


_OPERATION = {"item_code": "X", "category": "surgery", "price_cap": 1000.0}
full_price_operations.fires(2, lines=[{"unit_price": 1000.0, "times": 3}], catalogue=_OPERATION)
full_price_operations.fires(1, lines=[{"unit_price": 1000.0, "times": 2}], catalogue=_OPERATION)
full_price_operations.fires(1, lines=[{"unit_price": 1000.0, "times": 2}, {"unit_price": 500.0}], catalogue=_OPERATION)
full_price_operations.quiet(0, lines=[{"unit_price": 1000.0}, {"unit_price": 500.0}], catalogue=_OPERATION)
full_price_operations.quiet(0, lines=[{"unit_price": 500.0, "times": 3}], catalogue=_OPERATION)
full_price_operations.quiet(0, lines=[{"unit_price": 1000.0}], catalogue=_OPERATION)


@signal(
    title={"en": "Consumables without a service", "zh": "无对应诊疗项目的医用耗材费用"},
    says={
        "en": "Consumables of {value:,.0f} are billed on a claim without any operation, treatment or examination that "
        "could have used them; up to {limit:,.0f} is usual.",
        "zh": "本单无手术、治疗或检查项目,却收取医用耗材{value:,.0f}元,通常不超过{limit:,.0f}元。",
    },
    unit="money",
    riskier="high",
    default=0,
    violation="T31",
    national_code="GZ10000303001000",
    limit="lone_consumables",
    cites=["decree-735.38.3", "decree-735.40.3", "national-rules-2023"],
    excuses={
        "en": "Material for use at home, as for a stoma or an insulin pump.",
        "zh": "造口袋、胰岛素泵耗材等居家使用材料。",
    },
)
def lone_consumables(lines):
    """Amount of consumables on a claim without a line of surgery, treatment, therapy or examination; not of a pharmacy.

    Blind spot: a service that has nothing to do with the material.

    释义:无手术、治疗、理疗或检查明细的结算单中的耗材金额;药店不计。
    盲区:与材料无关的诊疗项目。
    """
    uses = lines.category.isin(["surgery", "treatment", "therapy", "examination", "laboratory", "nursing"])
    material = (lines.category == "consumable") & (lines.claim_visit_type != "pharmacy")
    return (lines.count(where=uses) == 0).ifelse(lines.amount.sum(where=material), 0)


_MATERIAL = [{"item_code": "X", "category": "consumable"}, {"item_code": "Y", "category": "surgery"}]
lone_consumables.fires(900, lines=[{"unit_price": 900.0}], catalogue=_MATERIAL)
lone_consumables.fires(200.5, lines=[{"unit_price": 100.25, "times": 2}], catalogue=_MATERIAL)
# A drug has no use for the stent beside it.
lone_consumables.fires(
    900,
    lines=[{"unit_price": 900.0}, {"item_code": "D"}],
    catalogue=[*_MATERIAL, {"item_code": "D", "category": "drug"}],
)
lone_consumables.quiet(200, lines=[{"unit_price": 200.0}], catalogue=_MATERIAL)
# A dressing that a nurse changes.
lone_consumables.quiet(
    0,
    lines=[{"unit_price": 900.0}, {"item_code": "N"}],
    catalogue=[*_MATERIAL, {"item_code": "N", "category": "nursing"}],
)
lone_consumables.quiet(0, lines=[{"unit_price": 900.0}, {"item_code": "Y"}], catalogue=_MATERIAL)
lone_consumables.quiet(0, claim={"visit_type": "pharmacy"}, lines=[{"unit_price": 900.0}], catalogue=_MATERIAL)


@signal(
    title={"en": "Price of a dialysis session", "zh": "血液透析单次费用"},
    says={
        "en": "A dialysis session is billed at {value:,.2f}; up to {limit:,.2f} is paid.",
        "zh": "血液透析单次收费{value:,.2f}元,支付限额{limit:,.2f}元。",
    },
    unit="money",
    riskier="high",
    violation="T33",
    national_code="GZ10000102015000",
    limit="dialysis_session",
    cites=["project-document-002", "national-rules-2023", "audit-report-cases"],
    excuses={
        "en": "A dearer method such as haemodiafiltration under the same code.",
        "zh": "同一编码下收取血液透析滤过等更高价方式。",
    },
)
def dialysis_session(lines):
    """Highest unit price of a dialysis session on the claim, in the payer's currency.

    Blind spot: material that is billed beside the session.

    释义:本单血液透析单次的最高单价。
    盲区:透析费之外另收的材料费。
    """
    return lines.unit_price.max(where=lines.dialysis)


_DIALYSIS = {"item_code": "X", "category": "treatment", "dialysis": True}
dialysis_session.fires(700, lines=[{"unit_price": 700.0}], catalogue=_DIALYSIS)
dialysis_session.fires(430.01, lines=[{"unit_price": 430.01}], catalogue=_DIALYSIS)
dialysis_session.fires(650, lines=[{"unit_price": 400.0, "times": 3}, {"unit_price": 650.0}], catalogue=_DIALYSIS)
dialysis_session.quiet(430, lines=[{"unit_price": 430.0, "quantity": 3.0}], catalogue=_DIALYSIS)
dialysis_session.quiet(400, lines=[{"unit_price": 400.0}, {"item_code": "Y", "unit_price": 900.0}], catalogue=_DIALYSIS)
dialysis_session.quiet(400, lines=[{"unit_price": 400.0}], catalogue=_DIALYSIS)
dialysis_session.quiet(None, lines=[{"unit_price": 700.0}])
