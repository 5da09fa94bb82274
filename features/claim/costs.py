"""What one claim costs, beside what its diagnosis usually costs."""

from fraud.signals import ratio, signal


@signal(
    title={"en": "Amount against case mix", "zh": "费用与病种预期之比"},
    says={
        "en": "The claim costs {value:.1f} times what its diagnosis usually costs; above {limit:.1f} times it is "
        "looked at.",
        "zh": "本单费用为同病种预期的{value:.1f}倍,超过{limit:.1f}倍即应核查。",
    },
    unit="times",
    riskier="high",
    violation="T16",
    limit="claim_cost_ratio",
    cites=["decree-735.38.2", "forged-invoice-case"],
    excuses={
        "en": "A complicated course, an implant, intensive care.",
        "zh": "病情复杂、使用植入耗材或入住重症监护。",
    },
)
def amount_against_expected(claim):
    """Total amount over the mean amount of claims with the same kind of visit and ICD category.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:总费用除以同就诊类型、同ICD类目结算单的平均费用。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    return ratio(claim.total_amount, claim.expected_amount)


amount_against_expected.fires(5, norms={"domain": "case", "code": "outpatient|I10", "amount": 200.0})
amount_against_expected.fires(
    4.01, claim={"total_amount": 4010.0}, norms={"domain": "case", "code": "outpatient|I10", "amount": 1000.0}
)
amount_against_expected.fires(
    4.5,
    claim={"visit_type": "inpatient", "total_amount": 90_000.0, "primary_diagnosis": "I21.9"},
    norms={"domain": "case", "code": "inpatient|I21", "amount": 20_000.0},
)
amount_against_expected.quiet(
    4, claim={"total_amount": 4000.0}, norms={"domain": "case", "code": "outpatient|I10", "amount": 1000.0}
)
# What a visit usually costs says nothing about a stay.
amount_against_expected.quiet(
    None, claim={"visit_type": "inpatient"}, norms={"domain": "case", "code": "outpatient|I10", "amount": 200.0}
)
amount_against_expected.quiet(1, norms={"domain": "case", "code": "outpatient|I10", "amount": 1000.0})
amount_against_expected.quiet(None)


@signal(
    title={"en": "Amount of the claim", "zh": "结算单总金额"},
    says={
        "en": "The charges of the claim add up to {value:,.0f}.",
        "zh": "本单总费用{value:,.0f}元。",
    },
    unit="money",
    riskier="high",
    violation="T16",
    cites=["decree-735.38.2"],
    excuses={"en": "A severe illness costs more.", "zh": "重症费用本就较高。"},
)
def charged(claim):
    """Total amount of the claim, in the payer's currency.

    Blind spot: says nothing about whether the amount fits the illness.

    释义:本结算单总费用,按经办机构货币计。
    盲区:不说明费用与病情是否相称。
    """
    return claim.total_amount


charged.fires(80000, claim={"total_amount": 80000.0})
charged.quiet(300, claim={"total_amount": 300.0})


@signal(
    title={"en": "Amount for each day", "zh": "日均费用"},
    says={
        "en": "The claim costs {value:,.0f} for each day that it lasts, first and last day included.",
        "zh": "本单日均费用{value:,.0f}元(含入、出院当日)。",
    },
    unit="money",
    riskier="high",
    violation="T16",
    cites=["decree-735.38.2"],
    excuses={"en": "An operation or an implant within a short stay.", "zh": "短期住院内的手术或植入耗材。"},
)
def daily_amount(claim):
    """Total amount over the days from admission to discharge, both included, in the payer's currency.

    Blind spot: a stay drawn out without care lowers the figure.

    释义:总费用除以入院至出院的天数(首末日均计入)。
    盲区:无诊疗而拖长的住院会拉低该值。
    """
    return ratio(claim.total_amount, claim.stay_days + 1)


daily_amount.fires(10000, claim={"visit_type": "inpatient", "total_amount": 20000.0, "stay_days": 1})
daily_amount.quiet(500, claim={"visit_type": "inpatient", "total_amount": 5000.0, "stay_days": 9})


@signal(
    title={"en": "Daily amount against case mix", "zh": "日均费用与病种预期之比"},
    says={
        "en": "Each day costs {value:.1f} times what a day with this diagnosis usually costs.",
        "zh": "日均费用为同病种预期日均费用的{value:.1f}倍。",
    },
    unit="times",
    riskier="high",
    violation="T16",
    cites=["decree-735.38.2"],
    excuses={"en": "Surgery on a short stay.", "zh": "短期住院手术。"},
)
def daily_amount_against_expected(claim):
    """Amount for each day over the expected amount divided by the expected days of the ICD category.

    Blind spot: expectations come from all providers, so a habit that everybody has is not seen.

    释义:日均费用除以该ICD类目的预期费用与预期天数之比。
    盲区:预期值取自全部机构,人人都有的习惯看不出来。
    """
    usual = ratio(claim.expected_amount, claim.expected_days + 1)
    return ratio(ratio(claim.total_amount, claim.stay_days + 1), usual)


daily_amount_against_expected.fires(
    5,
    claim={"visit_type": "inpatient", "total_amount": 10000.0, "stay_days": 1},
    norms={"domain": "case", "code": "inpatient|I10", "amount": 5000.0, "days": 4.0},
)
daily_amount_against_expected.quiet(
    1,
    claim={"visit_type": "inpatient", "total_amount": 5000.0, "stay_days": 4},
    norms={"domain": "case", "code": "inpatient|I10", "amount": 5000.0, "days": 4.0},
)


@signal(
    title={"en": "Cost of a unit of group weight", "zh": "每权重费用"},
    says={
        "en": "A unit of the billed group weight is backed by charges of only {value:,.0f}.",
        "zh": "每单位DRG权重对应的实际费用仅{value:,.0f}元。",
    },
    unit="money",
    riskier="low",
    violation="T17",
    severity="serious",
    cites=["causes-35", "upcoding-nber"],
    excuses={"en": "Efficient care, or a stay cut short.", "zh": "诊疗效率高,或提前出院。"},
)
def amount_per_weight(claim):
    """Total amount over the weight of the billed group; low where the group is coded too high.

    Blind spot: a hospital that raises charges along with the weights.

    释义:总费用除以所报病组权重;病组编高时数值偏低。
    盲区:费用与权重同时抬高的医院。
    """
    return ratio(claim.total_amount, claim.drg_weight)


amount_per_weight.fires(250, claim={"drg_weight": 4.0})
amount_per_weight.quiet(1000, claim={"drg_weight": 1.0})
amount_per_weight.quiet(None)
