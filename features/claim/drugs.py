"""Drugs: more than a rule allows, and more before the last are used."""

from fraud.signals import ratio, signal


@signal(
    title={"en": "Days of supply against the limit", "zh": "开药天数与上限之比"},
    says={
        "en": "A drug is dispensed for {value:.1f} times the days that its rule allows; {limit:.1f} is the most.",
        "zh": "某药品开药天数为限定天数的{value:.1f}倍,应不超过{limit:.1f}倍。",
    },
    unit="times",
    riskier="high",
    violation="T13",
    kind="violation",
    national_code="GZ10000101009000",
    limit="supply_over_limit",
    cites=["decree-735.38.2", "national-rules-2023"],
    excuses={"en": "A long prescription allowed for a chronic disease.", "zh": "符合慢性病长处方政策。"},
)
def supply_over_limit(lines):
    """Largest ratio of a line's days of supply to the days that its drug may be dispensed for.

    Blind spot: drugs without a limit, and supply split over several lines.

    释义:明细用药天数与该药最长开药天数的最大比值。
    盲区:没有上限的药品,以及拆成多行的用药量。
    """
    return ratio(lines.days_supply, lines.max_days_supply).max()


_MONTH = {"item_code": "X", "category": "drug", "max_days_supply": 30.0}
supply_over_limit.fires(3, lines=[{"days_supply": 90.0}], catalogue=_MONTH)
supply_over_limit.fires(1.5, lines=[{"days_supply": 7.0}, {"days_supply": 45.0}], catalogue=_MONTH)
supply_over_limit.fires(2, claim={"visit_type": "pharmacy"}, lines=[{"days_supply": 60.0}], catalogue=_MONTH)
supply_over_limit.quiet(1, lines=[{"days_supply": 30.0}], catalogue=_MONTH)
supply_over_limit.quiet(0.5, lines=[{"days_supply": 15.0, "times": 2}], catalogue=_MONTH)
supply_over_limit.quiet(None, lines=[{"days_supply": 90.0}])


@signal(
    title={"en": "Supply left at refill", "zh": "再次购药时的剩余天数"},
    says={
        "en": "A drug is dispensed again while {value:.0f} days of an earlier supply are left.",
        "zh": "再次购药时前次同药尚余{value:.0f}天用量。",
    },
    unit="days",
    riskier="high",
    default=0,
    violation="T13",
    national_code="GZ10000301006000",
    cites=["decree-735.38.2", "national-rules-2023"],
    excuses={"en": "Travel, or a lost box.", "zh": "外出备药,或药品遗失。"},
)
def supply_left(past_lines):
    """Most days of supply left of an item that this claim bills again, from any provider; at least 0.

    Blind spot: the same substance under another code.

    释义:本单再次购买的项目在任何机构的最多剩余用药天数,最低为0。
    盲区:编码不同的同一药物。
    """
    left = past_lines.days_supply - past_lines.days_ago
    again = past_lines.now_quantity.notnull()
    return left.max(where=again & (left > 0) & (past_lines.days_ago >= 0))


_PILL = {"item_code": "X", "category": "drug"}
supply_left.fires(
    25,
    lines=[{"days_supply": 30.0}],
    past=[{"days_ago": 5, "lines": [{"days_supply": 30.0}]}],
    catalogue=_PILL,
)
supply_left.quiet(
    0,
    lines=[{"days_supply": 30.0}],
    past=[{"days_ago": 31, "lines": [{"days_supply": 30.0}]}],
    catalogue=_PILL,
)


@signal(
    title={"en": "Early refills elsewhere", "zh": "跨机构提前购药次数"},
    says={
        "en": "{value:.0f} earlier supply(ies) of the same drugs from other providers are not yet used up; {limit:.0f} "
        "is usual at most.",
        "zh": "同种药品在其他机构购得且尚未用完{value:.0f}次,通常不超过{limit:.0f}次。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T23",
    severity="serious",
    limit="early_refills_elsewhere",
    cites=["decree-735.38.5", "decree-735.41", "gao-18-15"],
    excuses={"en": "A second home, or a pharmacy that was out of stock.", "zh": "异地居住,或原药店缺货。"},
)
def early_refills_elsewhere(past_lines, limits):
    """Earlier lines at other providers of items that this claim bills again, with much of the supply left.

    Blind spot: the same substance under another code.

    释义:在其他机构购买、余量仍多而本单又购买的相同项目的既往行数。
    盲区:编码不同的同一药物。
    """
    left = past_lines.days_supply - past_lines.days_ago
    much = (left > past_lines.days_supply * limits.supply_left_share) & (past_lines.days_ago >= 0)
    return past_lines.count(where=past_lines.now_quantity.notnull() & ~past_lines.same_provider & much)


early_refills_elsewhere.fires(
    2,
    lines=[{"days_supply": 30.0}],
    past=[{"provider_id": "H#", "days_ago": 5, "lines": [{"days_supply": 30.0}], "times": 2}],
    catalogue=_PILL,
)
# Two drugs fetched at one other house, of each of which a little more than a quarter is left.
early_refills_elsewhere.fires(
    2,
    lines=[{"days_supply": 30.0}, {"item_code": "Y", "days_supply": 30.0}],
    past=[{"provider_id": "H2", "days_ago": 22, "lines": [{"item_code": c, "days_supply": 30.0} for c in "XY"]}],
    catalogue=[_PILL, {**_PILL, "item_code": "Y"}],
)
early_refills_elsewhere.fires(
    3,
    lines=[{"days_supply": 7.0}],
    past=[{"provider_id": "H#", "days_ago": 0, "hour": 8, "lines": [{"days_supply": 7.0}], "times": 3}],
    catalogue=_PILL,
)
# One refill on a journey is usual, and a supply that is nearly used up may be renewed anywhere.
early_refills_elsewhere.quiet(
    1,
    lines=[{"days_supply": 30.0}],
    past=[{"provider_id": "H2", "days_ago": 5, "lines": [{"days_supply": 30.0}]}],
    catalogue=_PILL,
)
early_refills_elsewhere.quiet(
    0,
    lines=[{"days_supply": 30.0}],
    past=[{"provider_id": "H#", "days_ago": 23, "lines": [{"days_supply": 30.0}], "times": 3}],
    catalogue=_PILL,
)
early_refills_elsewhere.quiet(
    0, lines=[{}], past=[{"provider_id": "H#", "days_ago": 5, "lines": [{}], "times": 3}], catalogue=_PILL
)
early_refills_elsewhere.quiet(
    0,
    lines=[{"days_supply": 30.0}],
    past=[{"days_ago": 5, "lines": [{"days_supply": 30.0}]}],
    catalogue=_PILL,
)


@signal(
    title={"en": "Examinations repeated soon", "zh": "短期内重复检查次数"},
    says={
        "en": "{value:.0f} examination(s) or tests of this claim had been done shortly before; {limit:.0f} is usual at "
        "most.",
        "zh": "本单检查检验中{value:.0f}项近期已做过,通常不超过{limit:.0f}项。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T15",
    national_code="GZ10000302001000",
    limit="repeated_exams",
    cites=["decree-735.38.2", "national-rules-2023"],
    excuses={"en": "The course of an acute illness is being watched.", "zh": "急性病情需动态监测。"},
)
def repeated_exams(past_lines, limits):
    """Earlier lines of examinations and tests, from any provider, of items that this claim bills again.

    Blind spot: results that are not shared between providers.

    释义:本单再次收取的检查检验项目,此前在任何机构的收费行数。
    盲区:机构之间未共享的检查结果。
    """
    exam = past_lines.category.isin(["examination", "laboratory"]) & past_lines.now_quantity.notnull()
    return past_lines.count(where=exam & past_lines.days_ago.between(0, limits.repeated_exam_days))


repeated_exams.fires(
    5,
    lines=[{}],
    past=[{"days_ago": 5, "lines": [{}], "times": 5}],
    catalogue={"item_code": "X", "category": "examination"},
)
# Two weeks ago, somewhere else.
repeated_exams.fires(
    4,
    lines=[{}],
    past=[{"provider_id": "H#", "days_ago": 14, "lines": [{}], "times": 4}],
    catalogue={"item_code": "X", "category": "laboratory"},
)
repeated_exams.fires(
    4,
    lines=[{}, {"item_code": "Y"}],
    past=[{"days_ago": d, "lines": [{}, {"item_code": "Y"}]} for d in (3, 9)],
    catalogue=[{"item_code": c, "category": "examination"} for c in "XY"],
)
repeated_exams.quiet(
    3,
    lines=[{}],
    past=[{"days_ago": d, "lines": [{}]} for d in (2, 4, 6)],
    catalogue={"item_code": "X", "category": "laboratory"},
)
repeated_exams.quiet(
    0,
    lines=[{}],
    past=[{"days_ago": 15, "lines": [{}], "times": 5}],
    catalogue={"item_code": "X", "category": "examination"},
)
# Daily sessions of a treatment, and tests that are not the ones of this claim.
repeated_exams.quiet(
    0,
    lines=[{}],
    past=[{"days_ago": d, "lines": [{}, {"item_code": "Y"}]} for d in (1, 2, 3, 4)],
    catalogue=[{"item_code": "X", "category": "therapy"}, {"item_code": "Y", "category": "laboratory"}],
)
repeated_exams.quiet(
    0,
    lines=[{}],
    past=[{"days_ago": 50, "lines": [{}]}],
    catalogue={"item_code": "X", "category": "examination"},
)


@signal(
    title={"en": "Charges billed on another claim of the day", "zh": "同日另单重复收费项目数"},
    says={
        "en": "{value:.0f} item(s) of this claim were already billed by this provider on another claim of the same "
        "day; {limit:.0f} is usual.",
        "zh": "本单{value:.0f}项已由本机构在同日另一单中收取,通常为{limit:.0f}项。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T07",
    national_code="GZ10000102012000",
    limit="billed_on_other_claim",
    cites=["decree-735.38.3", "ncci"],
    excuses={"en": "Two departments that each needed the service.", "zh": "两个科室分别需要该项服务。"},
)
def billed_on_other_claim(past_lines):
    """Lines of the patient's other claims here that began on the same day, of items that this claim bills again.

    Blind spot: copies under another day.

    释义:患者同日在本机构其他结算单中、本单又重复收取的项目行数。
    盲区:改记到其他日期的重复收费。
    """
    again = past_lines.now_quantity.notnull() & past_lines.same_provider
    return past_lines.count(where=again & (past_lines.days_ago == 0))


billed_on_other_claim.fires(1, lines=[{}], past=[{"days_ago": 0, "hour": 8, "lines": [{}]}])
billed_on_other_claim.fires(
    2,
    lines=[{}, {"item_code": "Y"}],
    past=[{"days_ago": 0, "hour": 8, "physician_id": "D2", "lines": [{}, {"item_code": "Y"}, {"item_code": "Z"}]}],
)
# What a stay bills that began in the morning, billed as a visit as well.
billed_on_other_claim.fires(
    1,
    claim={"visit_type": "inpatient", "stay_days": 4},
    lines=[{}],
    past=[{"days_ago": 0, "hour": 8, "lines": [{}]}],
)
billed_on_other_claim.quiet(0, lines=[{}], past=[{"provider_id": "H2", "days_ago": 0, "hour": 8, "lines": [{}]}])
billed_on_other_claim.quiet(0, lines=[{}], past=[{"days_ago": 0, "hour": 8, "lines": [{"item_code": "Y"}]}])
billed_on_other_claim.quiet(0, lines=[{}], past=[{"days_ago": 1, "lines": [{}]}])


@signal(
    title={"en": "Dialysis sessions in a week", "zh": "一周透析次数"},
    says={
        "en": "{value:.0f} dialysis sessions are billed within one week; {limit:.0f} is usual at most.",
        "zh": "一周内透析收费{value:.0f}次,通常不超过{limit:.0f}次。",
    },
    unit="sessions",
    riskier="high",
    default=0,
    violation="T33",
    limit="weekly_dialysis",
    cites=["decree-735.38.2", "audit-report-cases"],
    excuses={"en": "Fluid overload that needs extra sessions.", "zh": "容量负荷过重需加透。"},
)
def weekly_dialysis(lines, past_lines, limits):
    """Dialysis sessions on this claim and on the patient's claims in the week before.

    Blind spot: a claim that bills a whole month at once.

    释义:本单及患者此前一周结算单的血液透析次数。
    盲区:一次结算整月透析的结算单。
    """
    before = past_lines.quantity.sum(where=past_lines.dialysis & past_lines.days_ago.between(0, limits.week_days - 1))
    return lines.quantity.sum(where=lines.dialysis).fill_null(0) + before.fill_null(0)


_KIDNEY = {"item_code": "X", "dialysis": True}
weekly_dialysis.fires(6, lines=[{}], past=[{"days_ago": 2, "lines": [{}], "times": 5}], catalogue=_KIDNEY)
weekly_dialysis.fires(5, lines=[{}], past=[{"days_ago": d, "lines": [{}]} for d in (1, 3, 5, 6)], catalogue=_KIDNEY)
weekly_dialysis.fires(
    6,
    lines=[{"quantity": 3.0}],
    past=[{"provider_id": "H2", "days_ago": 3, "lines": [{"quantity": 3.0}]}],
    catalogue=_KIDNEY,
)
weekly_dialysis.quiet(4, lines=[{}], past=[{"days_ago": d, "lines": [{}]} for d in (2, 4, 6)], catalogue=_KIDNEY)
# Every second day: the session of a week ago belongs to the week before.
weekly_dialysis.quiet(4, lines=[{}], past=[{"days_ago": d, "lines": [{}]} for d in (2, 4, 6, 7)], catalogue=_KIDNEY)
weekly_dialysis.quiet(1, lines=[{}], past=[{"days_ago": 9, "lines": [{}], "times": 5}], catalogue=_KIDNEY)
