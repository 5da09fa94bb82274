"""One person in two places at once."""

from fraud.signals import signal


@signal(
    title={"en": "Stays that overlap", "zh": "住院时间重叠次数"},
    says={
        "en": "{value:.0f} other stay(s) of this patient share days with this one; {limit:.0f} is possible.",
        "zh": "患者另有{value:.0f}次住院与本次时间重叠,正常应为{limit:.0f}次。",
    },
    unit="stays",
    riskier="high",
    default=0,
    violation="T21",
    severity="serious",
    limit="overlapping_stays",
    cites=["decree-735.40.3", "bed-hanging-case"],
    excuses={"en": "A transfer whose discharge was recorded late.", "zh": "转院时出院时间登记滞后。"},
)
def overlapping_stays(claim, past):
    """Inpatient stays of the patient, known before this one settled, that share more than the day of a transfer.

    Blind spot: the first of two overlapping stays to settle stays quiet.

    释义:本单结算前已知的、重叠超过转院当日的住院次数。
    盲区:两次重叠住院中先结算的一次不会触发。
    """
    both = (past.visit_type == "inpatient") & (claim.visit_type == "inpatient")
    return past.count(where=both & past.overlaps & (past.gap_days < 0) & (-past.days_ago < claim.stay_days))


overlapping_stays.fires(
    1,
    claim={"visit_type": "inpatient", "stay_days": 6},
    past=[{"visit_type": "inpatient", "provider_id": "H2", "days_ago": 3, "stay_days": 7}],
)
# A short stay within this one, and one here that ends a day after this one began.
overlapping_stays.fires(
    1,
    claim={"visit_type": "inpatient", "stay_days": 9},
    past=[{"visit_type": "inpatient", "provider_id": "H2", "days_ago": -2, "stay_days": 2}],
)
overlapping_stays.fires(
    2,
    claim={"visit_type": "inpatient", "stay_days": 6},
    past=[{"visit_type": "inpatient", "days_ago": d, "stay_days": d + 1} for d in (3, 4)],
)
# Moved on to another house on the last day; a visit is no stay.
overlapping_stays.quiet(
    0,
    claim={"visit_type": "inpatient", "stay_days": 6},
    past=[{"visit_type": "inpatient", "provider_id": "H2", "days_ago": -6, "hour": 8}],
)
overlapping_stays.quiet(
    0, claim={"visit_type": "inpatient", "stay_days": 6}, past=[{"provider_id": "H2", "days_ago": -3}]
)
overlapping_stays.quiet(
    0,
    claim={"visit_type": "inpatient", "stay_days": 6},
    past=[{"visit_type": "inpatient", "provider_id": "H2", "days_ago": 7, "stay_days": 7}],
)


@signal(
    title={"en": "Visits elsewhere during the stay", "zh": "住院期间院外就诊次数"},
    says={
        "en": "The patient was seen by other providers {value:.0f} time(s) in the middle of this stay; {limit:.0f} is "
        "usual.",
        "zh": "患者住院期间在其他机构门诊就诊{value:.0f}次,通常为{limit:.0f}次。",
    },
    unit="visits",
    riskier="high",
    default=0,
    violation="T02",
    severity="serious",
    limit="visits_during_stay",
    cites=["decree-735.38.1", "bed-hanging-case"],
    excuses={
        "en": "An examination that the hospital sent the patient out for.",
        "zh": "医院安排的外出检查。",
    },
)
def visits_during_stay(claim, past):
    """Outpatient visits at other providers on the days between, not on, admission and discharge of this stay.

    Blind spot: visits that settle after the stay; drugs that relatives fetch are left out.

    释义:住院期间(出入院当日除外)在其他机构的门诊次数。
    盲区:晚于出院结算的就诊;亲属代取药不计。
    """
    visit = past.visit_type.isin(["outpatient", "emergency", "chronic"]) & ~past.same_provider
    inside = (past.days_ago < 0) & (-past.days_ago < claim.stay_days)
    return past.count(where=visit & inside & (claim.visit_type == "inpatient"))


visits_during_stay.fires(
    1,
    claim={"visit_type": "inpatient", "stay_days": 8},
    past=[{"provider_id": "H2", "days_ago": -3}, {"provider_id": "H3", "days_ago": 0}],
)
visits_during_stay.fires(
    2,
    claim={"visit_type": "inpatient", "stay_days": 8},
    past=[
        {"provider_id": "H2", "days_ago": -1, "visit_type": "emergency"},
        {"provider_id": "H2", "days_ago": -5, "visit_type": "chronic"},
    ],
)
visits_during_stay.fires(
    1, claim={"visit_type": "inpatient", "stay_days": 8}, past=[{"provider_id": "H2", "days_ago": -7}]
)
visits_during_stay.quiet(
    0,
    claim={"visit_type": "inpatient", "stay_days": 8},
    past=[{"provider_id": "H2", "days_ago": -8, "hour": 8}, {"days_ago": -3}],
)
# Relatives fetch the drugs.
visits_during_stay.quiet(
    0,
    claim={"visit_type": "inpatient", "stay_days": 8},
    past=[{"provider_id": "Y", "visit_type": "pharmacy", "days_ago": -3}],
)
visits_during_stay.quiet(
    0, claim={"visit_type": "inpatient", "stay_days": 8}, past=[{"provider_id": "H2", "days_ago": 0}]
)


@signal(
    title={"en": "Home care during a stay", "zh": "住院期间的长期护理服务"},
    says={
        "en": "This long-term care falls into {value:.0f} inpatient stay(s) of the person; {limit:.0f} is possible.",
        "zh": "本次长期护理服务与参保人{value:.0f}次住院时间重叠,正常应为{limit:.0f}次。",
    },
    unit="stays",
    riskier="high",
    default=0,
    violation="T35",
    severity="serious",
    limit="overlapping_stays",
    cites=["decree-735.40.3", "rules-2026"],
    excuses={"en": "Care on the day of admission or discharge.", "zh": "服务发生于入院或出院当日。"},
)
def care_during_stay(claim, past):
    """Inpatient stays, known before, that hold the start of this long-term care claim between their first and last day.

    Blind spot: stays that settle after the care.

    释义:本长护险结算单的开始日落在首末日之间的、此前已知的住院次数。
    盲区:晚于护理结算的住院。
    """
    care = (claim.visit_type == "long_term_care") & (past.visit_type == "inpatient")
    return past.count(where=care & (past.days_ago > 0) & (past.gap_days < 0))


care_during_stay.fires(
    1,
    claim={"visit_type": "long_term_care", "stay_days": 30},
    past=[{"visit_type": "inpatient", "days_ago": 3, "stay_days": 8}],
)
care_during_stay.fires(
    1,
    claim={"visit_type": "long_term_care", "stay_days": 7},
    past=[{"visit_type": "inpatient", "provider_id": "H2", "days_ago": 1, "stay_days": 2}],
)
care_during_stay.fires(
    2,
    claim={"visit_type": "long_term_care", "stay_days": 30},
    past=[{"visit_type": "inpatient", "provider_id": f"H{d}", "days_ago": d, "stay_days": 15} for d in (5, 12)],
)
# Home again on the day on which care begins; taken to hospital on that day; a visit to the doctor.
care_during_stay.quiet(
    0,
    claim={"visit_type": "long_term_care", "stay_days": 30},
    past=[{"visit_type": "inpatient", "days_ago": 8, "stay_days": 8}],
)
care_during_stay.quiet(
    0,
    claim={"visit_type": "long_term_care", "stay_days": 30},
    past=[{"visit_type": "inpatient", "days_ago": 0, "stay_days": 8}, {"days_ago": 1}],
)
care_during_stay.quiet(
    0,
    claim={"visit_type": "long_term_care", "stay_days": 30},
    past=[{"visit_type": "inpatient", "days_ago": 9, "stay_days": 8}],
)


@signal(
    title={"en": "Outpatient charges around the stay", "zh": "住院前及住院期间的门诊费用"},
    says={
        "en": "Charges of {value:,.0f} were billed as outpatient care here just before or during this stay; up to "
        "{limit:,.0f} is usual.",
        "zh": "住院前数日及住院期间,本院另以门诊名义结算{value:,.0f}元,通常不超过{limit:,.0f}元。",
    },
    unit="money",
    riskier="high",
    default=0,
    violation="T18",
    limit="charges_around_stay",
    cites=["causes-35", "decree-735.38"],
    excuses={"en": "The visit at which the admission was decided.", "zh": "决定收治入院的当次门诊。"},
)
def charges_around_stay(claim, past, limits):
    """Amount of outpatient claims here on the days before, or during, this stay, in the payer's currency.

    Blind spot: charges moved to another provider, or settled after the stay.

    释义:本次住院之前数日及住院期间在本院发生的门诊费用。
    盲区:转到其他机构收取,或在出院后结算的费用。
    """
    visit = past.visit_type.isin(["outpatient", "chronic"]) & past.same_provider
    near = past.days_ago.between(-claim.stay_days, limits.pre_stay_days) & (claim.visit_type == "inpatient")
    return past.total_amount.sum(where=visit & near)


charges_around_stay.fires(
    2600,
    claim={"visit_type": "inpatient", "stay_days": 8},
    past=[{"days_ago": 2, "total_amount": 2600.0}, {"days_ago": 20}],
)
charges_around_stay.fires(
    500.5,
    claim={"visit_type": "inpatient", "stay_days": 8},
    past=[{"days_ago": 3, "total_amount": 300.0}, {"days_ago": 1, "total_amount": 200.5}],
)
charges_around_stay.fires(
    800,
    claim={"visit_type": "inpatient", "stay_days": 8},
    past=[{"visit_type": "chronic", "days_ago": -4, "total_amount": 800.0}],
)
charges_around_stay.quiet(
    500, claim={"visit_type": "inpatient", "stay_days": 8}, past=[{"days_ago": 1, "total_amount": 500.0}]
)
# The day before the days that are looked at, another house, and the emergency that led to the stay.
charges_around_stay.quiet(
    0,
    claim={"visit_type": "inpatient", "stay_days": 8},
    past=[
        {"days_ago": 4, "total_amount": 2600.0},
        {"days_ago": 2, "provider_id": "H2", "total_amount": 2600.0},
        {"days_ago": 0, "hour": 8, "visit_type": "emergency", "total_amount": 2600.0},
    ],
)
charges_around_stay.quiet(0, claim={"visit_type": "inpatient"}, past=[{"days_ago": 20}])
