"""How long a stay lasts, beside what its diagnosis usually takes."""

from fraud.signals import ratio, signal


@signal(
    title={"en": "Nights of the stay", "zh": "住院天数"},
    says={"en": "The stay lasts {value:.0f} nights.", "zh": "本次住院{value:.0f}天。"},
    unit="days",
    riskier="high",
    violation="T02",
    cites=["decree-735.38.1"],
    excuses={"en": "Rehabilitation, or nobody to go home to.", "zh": "康复治疗,或无人照护无法出院。"},
)
def nights(claim):
    """Nights between admission and discharge; 0 for a visit.

    Blind spot: leave from the ward is not known.

    释义:入院至出院的夜数;门诊为0。
    盲区:请假离院的情况不可知。
    """
    return claim.stay_days


nights.fires(40, claim={"visit_type": "inpatient", "stay_days": 40})
nights.quiet(0)


@signal(
    title={"en": "Length of stay against case mix", "zh": "住院天数与病种预期之比"},
    says={
        "en": "The stay lasts {value:.1f} times what its diagnosis usually takes; above {limit:.1f} times it is "
        "looked at.",
        "zh": "住院天数为同病种预期的{value:.1f}倍,超过{limit:.1f}倍即应核查。",
    },
    unit="times",
    riskier="high",
    violation="T02",
    limit="stay_ratio",
    cites=["decree-735.38.1", "decree-735.38.2"],
    excuses={
        "en": "Complications, or a referral of the severest cases.",
        "zh": "出现并发症,或收治转诊重症。",
    },
)
def nights_against_expected(claim):
    """Nights of the stay over the mean nights of claims with the same kind of visit and ICD category.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:住院夜数除以同就诊类型、同ICD类目结算单的平均夜数。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    return ratio(claim.stay_days, claim.expected_days)


nights_against_expected.fires(
    5,
    claim={"visit_type": "inpatient", "stay_days": 20},
    norms={"domain": "case", "code": "inpatient|I10", "days": 4.0},
)
_NORMS = [{"domain": "case", "code": f"inpatient|{c}", "days": d} for c, d in (("I10", 4.0), ("F20", 60.0))]
nights_against_expected.fires(4.25, claim={"visit_type": "inpatient", "stay_days": 17}, norms=_NORMS)
nights_against_expected.fires(
    5, claim={"visit_type": "inpatient", "stay_days": 300, "primary_diagnosis": "F20.0"}, norms=_NORMS
)
nights_against_expected.quiet(4, claim={"visit_type": "inpatient", "stay_days": 16}, norms=_NORMS)
# Two months are long for hypertension and usual in psychiatry; a rare disease has no usual length.
nights_against_expected.quiet(
    1, claim={"visit_type": "inpatient", "stay_days": 60, "primary_diagnosis": "F20.0"}, norms=_NORMS
)
nights_against_expected.quiet(
    None, claim={"visit_type": "inpatient", "stay_days": 60, "primary_diagnosis": "G12.2"}, norms=_NORMS
)
nights_against_expected.quiet(
    1,
    claim={"visit_type": "inpatient", "stay_days": 4},
    norms={"domain": "case", "code": "inpatient|I10", "days": 4.0},
)


@signal(
    title={"en": "Short stay for examinations", "zh": "体检式短期住院检查费占比"},
    says={
        "en": "In a short stay without any operation, {value:.0%} of the charges are examinations and tests; above "
        "{limit:.0%} it is looked at.",
        "zh": "短期住院且无手术,检查检验费占{value:.0%},超过{limit:.0%}即应核查。",
    },
    unit="share",
    riskier="high",
    high=1,
    violation="T04",
    national_code="GZ10000204005000",
    limit="checkup_share",
    cites=["decree-735.38.2", "national-rules-2023", "weihai-model"],
    excuses={
        "en": "A suspected severe disease that was ruled out quickly.",
        "zh": "疑似重症,住院后很快排除。",
    },
)
def checkup_share(claim, lines, procedures, limits):
    """Share of examinations and tests in the charges of a short inpatient stay without surgery.

    Blind spot: infusions that were added to make the stay look needed.

    释义:无手术的短期住院中,检查检验费占总费用的比例。
    盲区:为使住院显得必要而添加的输液。
    """
    tests = lines.amount.sum(where=lines.category.isin(["examination", "laboratory"])).fill_null(0)
    operated = (lines.count(where=lines.category == "surgery") > 0) | (procedures.count() > 0)
    short = (claim.visit_type == "inpatient") & (claim.stay_days <= limits.short_stay_days) & ~operated
    return short.ifelse(ratio(tests, lines.amount.sum()), None)


_WARD = {"visit_type": "inpatient", "stay_days": 2}
_ITEMS = [{"item_code": "X", "category": "examination"}, {"item_code": "Y", "category": "drug"}]
checkup_share.fires(0.9, claim=_WARD, lines=[{"times": 9}, {"item_code": "Y"}], catalogue=_ITEMS)
checkup_share.fires(
    0.61,
    claim={**_WARD, "stay_days": 3},
    lines=[{"unit_price": 610.0}, {"item_code": "Y", "unit_price": 390.0}],
    catalogue=[{"item_code": "X", "category": "laboratory"}, _ITEMS[1]],
)
checkup_share.fires(1, claim={**_WARD, "stay_days": 0}, lines=[{"times": 3}], catalogue=_ITEMS)
checkup_share.quiet(
    0.6,
    claim=_WARD,
    lines=[{"unit_price": 600.0}, {"item_code": "Y", "unit_price": 400.0}],
    catalogue=_ITEMS,
)
checkup_share.quiet(None, claim={**_WARD, "stay_days": 4}, lines=[{"times": 9}], catalogue=_ITEMS)
checkup_share.quiet(0.25, claim=_WARD, lines=[{}, {"item_code": "Y", "times": 3}], catalogue=_ITEMS)
checkup_share.quiet(None, claim=_WARD, lines=[{"times": 9}], procedures=["4701"], catalogue=_ITEMS)
checkup_share.quiet(None, lines=[{"times": 9}], catalogue=_ITEMS)
