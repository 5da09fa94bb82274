"""Stays that follow an earlier stay of the same patient closely: one stay may have been split in two."""

from fraud.signals import signal


@signal(
    title={"en": "Days since a stay here for the same disease", "zh": "距同院同病上次出院天数"},
    says={
        "en": "The patient had left this hospital with the same disease {value:.0f} days before this admission; "
        "fewer than {limit:.0f} days are looked at.",
        "zh": "本次入院距患者因同一疾病从本院出院仅{value:.0f}天,少于{limit:.0f}天即应核查。",
    },
    unit="days",
    riskier="low",
    violation="T01",
    national_code="GZ10000204001000",
    severity="serious",
    limit="split_admission_days",
    cites=["decree-735.38.1", "national-rules-2023", "readmit-window"],
    excuses={
        "en": "Planned cycles (chemotherapy, dialysis), an emergency, or a complication of the first stay.",
        "zh": "放化疗、透析等计划性住院,急诊入院,或前次住院的并发症。",
    },
)
def split_stay_gap(claim, past):
    """Days between the last stay at the same hospital for the same ICD category and this admission.

    Planned stays do not count. Blind spot: a hospital that changes the diagnosis code of the second stay.

    释义:同院、同ICD类目上次住院出院至本次入院的天数。
    盲区:第二次住院改换诊断编码的医院。
    """
    stay = (past.visit_type == "inpatient") & (claim.visit_type == "inpatient")
    same = past.same_provider & (past.diagnosis_group == claim.diagnosis_group)
    return past.gap_days.min(where=stay & same & (past.gap_days >= 0) & ~claim.planned.fill_null(False))


split_stay_gap.fires(
    3,
    claim={"visit_type": "inpatient", "stay_days": 5},
    past=[{"visit_type": "inpatient", "days_ago": 9, "stay_days": 6}],
)
split_stay_gap.fires(
    0,
    claim={"visit_type": "inpatient", "stay_days": 5},
    past=[{"visit_type": "inpatient", "days_ago": 6, "stay_days": 6}],
)
split_stay_gap.fires(
    1,
    claim={"visit_type": "inpatient", "stay_days": 5},
    past=[
        {"visit_type": "inpatient", "days_ago": 30, "stay_days": 6},
        {"visit_type": "inpatient", "days_ago": 7, "stay_days": 6},
    ],
)
split_stay_gap.quiet(
    54,
    claim={"visit_type": "inpatient", "stay_days": 5},
    past=[{"visit_type": "inpatient", "days_ago": 60, "stay_days": 6}],
)
split_stay_gap.quiet(
    None,
    claim={"visit_type": "inpatient", "planned": True},
    past=[{"visit_type": "inpatient", "days_ago": 9, "stay_days": 6}],
)
split_stay_gap.quiet(
    None,
    claim={"visit_type": "inpatient", "stay_days": 5},
    past=[{"visit_type": "inpatient", "days_ago": 9, "stay_days": 6, "primary_diagnosis": "J189"}],
)


@signal(
    title={"en": "Days since the last stay anywhere", "zh": "距上次出院天数(任一机构)"},
    says={
        "en": "The patient's last stay, at any hospital, had ended {value:.0f} days before this claim began.",
        "zh": "本次就诊距患者上一次出院(任一机构){value:.0f}天。",
    },
    unit="days",
    riskier="low",
    low=float("-inf"),
    violation="T01",
    national_code="ZB10000205008000",
    cites=["decree-735.38.1", "national-rules-2023"],
    excuses={
        "en": "A transfer to a better equipped hospital, or an illness that comes back by its nature.",
        "zh": "转往上级医院,或疾病本身易复发。",
    },
)
def days_since_stay(past):
    """Days from the end of the patient's last inpatient stay to the start of this claim, negative in an overlap.

    Blind spot: stays that settle after this claim are not yet known.

    释义:患者上次住院结束至本单开始的天数,重叠时为负。
    盲区:晚于本单结算的住院尚不可知。
    """
    return past.gap_days.min(where=past.visit_type == "inpatient")


days_since_stay.fires(4, past=[{"visit_type": "inpatient", "provider_id": "H2", "days_ago": 10, "stay_days": 6}])
days_since_stay.quiet(110, past=[{"visit_type": "inpatient", "provider_id": "H2", "days_ago": 120, "stay_days": 10}])


@signal(
    title={"en": "Days since the last stay here", "zh": "距本院上次出院天数"},
    says={
        "en": "The patient's last stay at this provider had ended {value:.0f} days before this claim began.",
        "zh": "本次就诊距患者上一次从本机构出院{value:.0f}天。",
    },
    unit="days",
    riskier="low",
    low=float("-inf"),
    violation="T01",
    cites=["decree-735.38.1", "open-rule-config"],
    excuses={
        "en": "The only hospital near the patient's home, or follow-up care after an operation.",
        "zh": "当地唯一医院,或术后随访治疗。",
    },
)
def days_since_stay_here(past):
    """Days from the end of the patient's last inpatient stay at this provider to the start of this claim.

    Blind spot: a second licence of the same owner counts as another provider.

    释义:患者在本机构上次住院结束至本单开始的天数。
    盲区:同一业主的第二张执照按另一机构计。
    """
    return past.gap_days.min(where=(past.visit_type == "inpatient") & past.same_provider)


days_since_stay_here.fires(4, past=[{"visit_type": "inpatient", "days_ago": 10, "stay_days": 6}])
days_since_stay_here.quiet(110, past=[{"visit_type": "inpatient", "days_ago": 120, "stay_days": 10}])
days_since_stay_here.quiet(None, past=[{"visit_type": "inpatient", "provider_id": "H2"}])


@signal(
    title={"en": "Stays in the year before", "zh": "此前一年住院次数"},
    says={
        "en": "The patient had {value:.0f} inpatient stays in the year before this claim; {limit:.0f} is usual at "
        "most.",
        "zh": "患者在本次就诊前一年内住院{value:.0f}次,通常不超过{limit:.0f}次。",
    },
    unit="stays",
    riskier="high",
    default=0,
    violation="T27",
    national_code="GZ10000204004000",
    limit="yearly_stays",
    cites=["national-rules-2023", "decree-735.38.2"],
    excuses={"en": "A severe chronic disease with repeated crises.", "zh": "重症慢性病反复发作。"},
)
def stays_before(past):
    """Inpatient stays of the patient, anywhere, known in the year before this claim settled.

    Blind spot: stays paid by another payer.

    释义:本单结算前一年内已知的、患者在任何机构的住院次数。
    盲区:由其他支付方支付的住院。
    """
    return past.count(where=past.visit_type == "inpatient")


stays_before.fires(14, past=[{"visit_type": "inpatient", "days_ago": 100, "times": 14}])
_STAYS = [{"visit_type": "inpatient", "provider_id": f"H{m}", "days_ago": 28 * m, "stay_days": 5} for m in range(1, 14)]
stays_before.fires(13, past=_STAYS)
stays_before.fires(13, claim={"visit_type": "inpatient"}, past=[*_STAYS, {"visit_type": "chronic", "times": 9}])
stays_before.quiet(12, past=_STAYS[:12])
# The stays of the year before, of which the last settled a year and a day ago.
stays_before.quiet(0, past=[{**row, "days_ago": 371 + 28 * m} for m, row in enumerate(_STAYS)])
stays_before.quiet(0, past=[{"visit_type": "outpatient", "times": 6}])
