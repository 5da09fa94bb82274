"""Claims that look like an earlier claim of the same patient: one service may have been billed twice."""

from fraud.signals import signal


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
# Sent again on the same day, twice.
near_duplicates.fires(2, past={"days_ago": 0, "hour": 8, "times": 2})
near_duplicates.quiet(0, past=[{"days_ago": 3}, {"days_ago": 1, "primary_diagnosis": "J18"}])
# Sessions of a course every second day; the same at another house; and a copy that is dearer by a cent.
near_duplicates.quiet(0, past=[{"days_ago": d} for d in (2, 4, 6)])
near_duplicates.quiet(
    0, past=[{"days_ago": 1, "provider_id": "H2"}, {"days_ago": 0, "hour": 8, "total_amount": 1000.01}]
)
near_duplicates.quiet(
    0, claim={"visit_type": "inpatient"}, past={"visit_type": "inpatient", "days_ago": 31, "stay_days": 3}
)


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
