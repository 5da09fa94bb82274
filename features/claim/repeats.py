"""Claims that look like an earlier claim of the same patient: one service may have been billed twice."""

from fraud.signals import ratio, signal


@signal(
    title={"en": "Near-duplicate claims", "zh": "疑似重复结算单"},
    says={
        "en": "{value:.0f} earlier claim(s) of this patient at this provider carry the same diagnosis and the same "
        "amount and began about the same day; {limit:.0f} is usual.",
        "zh": "患者相近日期在本机构另有{value:.0f}张诊断与金额均相同的结算单,通常为{limit:.0f}张。",
    },
    unit="claims",
    riskier="high",
    default=0,
    violation="T21",
    limit="near_duplicates",
    cites=["decree-735.38.3", "ncci"],
    excuses={
        "en": "A fixed price for each session of one course of treatment.",
        "zh": "同一疗程按次定额收费。",
    },
)
def near_duplicates(claim, past, limits):
    """Earlier claims of the patient, same provider, primary diagnosis and total amount, begun about the same day.

    Stays may lie further apart than visits, which a course of treatment repeats every few days.

    Blind spot: a copy whose amount was changed by a cent.

    释义:患者在同一机构、主诊断与总费用相同、日期相近的既往结算单数。
    盲区:金额改动一分钱的重复单。
    """
    same = (past.primary_diagnosis == claim.primary_diagnosis) & (past.total_amount == claim.total_amount)
    stay = claim.visit_type == "inpatient"
    days = stay.ifelse(limits.near_duplicate_stay_days, limits.near_duplicate_visit_days)
    return past.count(where=past.same_provider & same & (past.days_ago >= -days) & (past.days_ago <= days))


near_duplicates.fires(1, past=[{"days_ago": 1}, {"days_ago": 1, "total_amount": 999.0}])
near_duplicates.fires(
    1, claim={"visit_type": "inpatient"}, past={"visit_type": "inpatient", "days_ago": 20, "stay_days": 3}
)
near_duplicates.quiet(0, past=[{"days_ago": 3}, {"days_ago": 1, "primary_diagnosis": "J18"}])


@signal(
    title={"en": "Earlier claims here", "zh": "此前在本机构的结算次数"},
    says={
        "en": "The patient had {value:.0f} earlier claims at this provider in the year before.",
        "zh": "患者此前一年在本机构已结算{value:.0f}次。",
    },
    unit="claims",
    riskier="high",
    default=0,
    violation="T25",
    cites=["decree-735.40.1"],
    excuses={"en": "Regular treatment of a chronic disease close to home.", "zh": "慢性病就近规律治疗。"},
)
def earlier_claims_here(past):
    """Claims of the patient at this provider, known in the year before this one settled.

    Blind spot: claims of relatives that share one card.

    释义:患者在本机构、本单结算前一年内已知的结算次数。
    盲区:共用一张卡的亲属的结算。
    """
    return past.count(where=past.same_provider)


earlier_claims_here.fires(5, past={"days_ago": 50, "times": 5})
earlier_claims_here.quiet(0, past={"provider_id": "H2", "times": 5})


@signal(
    title={"en": "Same disease treated elsewhere", "zh": "同病在其他机构就诊次数"},
    says={
        "en": "{value:.0f} earlier claims of this patient for the same disease came from other providers.",
        "zh": "患者因同一疾病此前在其他机构结算{value:.0f}次。",
    },
    unit="claims",
    riskier="high",
    default=0,
    violation="T27",
    cites=["gao-18-15", "decree-735.38.2"],
    excuses={
        "en": "Transfers, and second opinions on a severe disease.",
        "zh": "转院,或重症求取第二诊疗意见。",
    },
)
def same_disease_elsewhere(claim, past):
    """Claims in the year before with the same ICD category at other providers.

    Blind spot: the same disease under another ICD category.

    释义:此前一年在其他机构以同一ICD类目结算的次数。
    盲区:编为其他ICD类目的同一疾病。
    """
    return past.count(where=~past.same_provider & (past.diagnosis_group == claim.diagnosis_group))


same_disease_elsewhere.fires(3, past={"provider_id": "H#", "days_ago": 60, "times": 3})
same_disease_elsewhere.quiet(0, past=[{"days_ago": 60}, {"provider_id": "H2", "primary_diagnosis": "J18"}])


@signal(
    title={"en": "Amount against the patient's own past", "zh": "金额与患者本人既往均值之比"},
    says={
        "en": "The claim is {value:.1f} times the mean of the patient's claims of the same kind in the year before.",
        "zh": "本单金额为患者此前一年同类就诊均值的{value:.1f}倍。",
    },
    unit="times",
    riskier="high",
    violation="T16",
    cites=["decree-735.38.2"],
    excuses={"en": "A new and more severe illness.", "zh": "新发或更重的疾病。"},
)
def amount_against_own_past(claim, past):
    """Total amount over the mean amount of the patient's earlier claims of the same kind of visit.

    Blind spot: a first claim has nothing to be compared with.

    释义:总费用除以患者此前同类就诊的平均费用。
    盲区:首次就诊没有可比对象。
    """
    return ratio(claim.total_amount, past.total_amount.mean(where=past.visit_type == claim.visit_type))


amount_against_own_past.fires(5, past={"total_amount": 200.0, "times": 3})
amount_against_own_past.quiet(1, past={"total_amount": 1000.0, "times": 3})
