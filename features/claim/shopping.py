"""Many providers in a short time: one person's care spread out, or one person's card."""

from fraud.signals import signal


@signal(
    title={"en": "Providers on the same day", "zh": "同日就诊机构数"},
    says={
        "en": "{value:.0f} providers billed this patient on the same day; {limit:.0f} is usual at most.",
        "zh": "参保人同日在{value:.0f}家机构结算,通常不超过{limit:.0f}家。",
    },
    unit="providers",
    riskier="high",
    default=1,
    violation="T27",
    national_code="GZ10000204002000",
    limit="same_day_providers",
    cites=["national-rules-2023", "decree-735.38.2"],
    excuses={
        "en": "An emergency transfer, or a prescription filled on the way home.",
        "zh": "当日急诊转院,或凭处方外购药品。",
    },
)
def same_day_providers(past):
    """Other providers that billed the patient on the day of the claim, and this one.

    Blind spot: claims settled later than this one are not yet known.

    释义:本单当日为患者结算的机构数,含本机构。
    盲区:晚于本单结算的尚不可知。
    """
    return past.provider_id.collect(where=(past.days_ago == 0) & ~past.same_provider).unique().length().fill_null(0) + 1


same_day_providers.fires(4, past=[{"provider_id": "H#", "days_ago": 0, "times": 3, "hour": 8}])
same_day_providers.fires(
    3,
    claim={"visit_type": "pharmacy"},
    past=[{"provider_id": p, "days_ago": 0, "hour": h} for p, h in (("H2", 6), ("H3", 8), ("H3", 7))],
)
same_day_providers.fires(
    3, claim={"visit_type": "inpatient", "stay_days": 5}, past=[{"provider_id": "H#", "days_ago": 0, "times": 2}]
)
# The doctor in the morning and the pharmacy on the way home, however often.
same_day_providers.quiet(
    2, claim={"visit_type": "pharmacy"}, past=[{"provider_id": "H2", "days_ago": 0, "hour": 8, "times": 4}]
)
same_day_providers.quiet(1, past=[{"days_ago": 0, "hour": 8, "times": 4}])
same_day_providers.quiet(1, past=[{"provider_id": "H9", "days_ago": 1}, {"days_ago": 0, "hour": 8}])


@signal(
    title={"en": "Providers in the last months", "zh": "近几个月就诊机构数"},
    says={
        "en": "The patient was billed by {value:.0f} providers in the months before this claim.",
        "zh": "患者近几个月在{value:.0f}家机构结算。",
    },
    unit="providers",
    riskier="high",
    default=0,
    violation="T27",
    national_code="GZ10000204002000",
    cites=["gao-18-15", "national-rules-2023"],
    excuses={"en": "A severe illness with several specialists.", "zh": "重症需多学科就诊。"},
)
def recent_providers(past, limits):
    """Different providers that billed the patient in the `recent_days` before this claim began.

    Blind spot: branches of one chain count apart.

    释义:本单之前`recent_days`天内为患者结算的不同机构数。
    盲区:同一连锁的分店分别计数。
    """
    return past.provider_id.collect(where=past.days_ago <= limits.recent_days).unique().length()


recent_providers.fires(5, past={"provider_id": "H#", "times": 5})
recent_providers.quiet(1, past=[{"days_ago": 20}, {"days_ago": 10}])


@signal(
    title={"en": "Physicians in the last months", "zh": "近几个月接诊医师数"},
    says={
        "en": "{value:.0f} physicians were in charge of the patient's claims in the months before this one.",
        "zh": "患者近几个月由{value:.0f}名医师接诊。",
    },
    unit="physicians",
    riskier="high",
    default=0,
    violation="T27",
    cites=["gao-18-15"],
    excuses={"en": "A severe illness with several specialists.", "zh": "重症需多学科就诊。"},
)
def recent_physicians(past, limits):
    """Different physicians in charge of the patient's claims in the `recent_days` before this claim began.

    Blind spot: claims that name no physician.

    释义:本单之前`recent_days`天内主管患者的不同医师数。
    盲区:未记录医师的结算单。
    """
    return past.physician_id.collect(where=past.days_ago <= limits.recent_days).unique().length()


recent_physicians.fires(5, past={"physician_id": "D#", "times": 5})
recent_physicians.quiet(1, past={"times": 5})


@signal(
    title={"en": "Claims in the last month", "zh": "近一月就诊次数"},
    says={
        "en": "The patient had {value:.0f} claims in the month before this one; {limit:.0f} is usual at most.",
        "zh": "患者此前一个月内就诊{value:.0f}次,通常不超过{limit:.0f}次。",
    },
    unit="claims",
    riskier="high",
    default=0,
    violation="T27",
    national_code="GZ10000204002000",
    limit="monthly_claims",
    cites=["national-rules-2023"],
    excuses={
        "en": "Dialysis, wound care or physiotherapy in sessions.",
        "zh": "透析、换药或理疗等按次治疗。",
    },
)
def recent_claims(past, limits):
    """Claims of the patient, anywhere, begun in the `month_days` before this one.

    Blind spot: visits to relatives with the same card count too.

    释义:本单之前`month_days`天内患者在任何机构开始的就诊次数。
    盲区:亲属使用同一张卡的就诊也计入。
    """
    return past.count(where=past.days_ago.between(0, limits.month_days))


recent_claims.fires(20, past={"days_ago": 10, "times": 20})
recent_claims.fires(16, past=[{"days_ago": 30}, {"provider_id": "H#", "days_ago": 3, "times": 15}])
recent_claims.fires(16, past=[{"visit_type": "pharmacy", "days_ago": d, "times": 4} for d in (1, 2, 3, 4)])
# Dialysis every second day for a month, and just as many as are usual.
recent_claims.quiet(15, past=[{"days_ago": d} for d in range(2, 31, 2)])
recent_claims.quiet(1, past=[{"days_ago": 31, "times": 20}, {"days_ago": 30}])
recent_claims.quiet(0, past={"days_ago": 100, "times": 20})


@signal(
    title={"en": "Pharmacy purchases in the last month", "zh": "近一月药店购药次数"},
    says={
        "en": "The patient had {value:.0f} claims at pharmacies in the month before this one; {limit:.0f} is usual at "
        "most.",
        "zh": "患者此前一个月内在药店购药{value:.0f}次,通常不超过{limit:.0f}次。",
    },
    unit="claims",
    riskier="high",
    default=0,
    violation="T27",
    national_code="GZ10000204003000",
    limit="monthly_purchases",
    cites=["national-rules-2023", "decree-735.41"],
    excuses={
        "en": "Several prescriptions that run out at different times.",
        "zh": "多张处方分别到期续购。",
    },
)
def recent_purchases(past, limits):
    """Claims of the patient at pharmacies, begun in the `month_days` before this one.

    Blind spot: purchases for relatives with the same card.

    释义:本单之前`month_days`天内患者在药店的结算次数。
    盲区:用同一张卡为亲属购药。
    """
    return past.count(where=(past.visit_type == "pharmacy") & past.days_ago.between(0, limits.month_days))


recent_purchases.fires(20, past={"visit_type": "pharmacy", "days_ago": 10, "times": 20})
recent_purchases.fires(11, past={"visit_type": "pharmacy", "provider_id": "Y#", "days_ago": 30, "times": 11})
recent_purchases.fires(
    12,
    claim={"visit_type": "pharmacy"},
    past=[{"visit_type": "pharmacy", "days_ago": d, "times": 6} for d in (1, 29)],
)
recent_purchases.quiet(10, past=[{"visit_type": "pharmacy", "days_ago": d} for d in range(3, 31, 3)])
recent_purchases.quiet(0, past={"days_ago": 10, "times": 20})
recent_purchases.quiet(0, past={"visit_type": "pharmacy", "days_ago": 60, "times": 20})
