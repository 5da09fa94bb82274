"""Many providers in a short time: one person's care spread out, or one person's card."""

from fraud.signals import ratio, signal


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
    """
    return past.provider_id.collect(where=(past.days_ago == 0) & ~past.same_provider).unique().length().fill_null(0) + 1


same_day_providers.fires(4, past=[{"provider_id": "H#", "days_ago": 0, "times": 3, "hour": 8}])
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
    """
    return past.count(where=past.days_ago.between(0, limits.month_days))


recent_claims.fires(20, past={"days_ago": 10, "times": 20})
recent_claims.quiet(0, past={"days_ago": 100, "times": 20})


@signal(
    title={"en": "Loyalty to this provider", "zh": "既往就诊集中于本机构的比例"},
    says={
        "en": "{value:.0%} of the patient's claims in the year before came from this provider.",
        "zh": "患者此前一年的结算单中{value:.0%}来自本机构。",
    },
    unit="share",
    riskier="high",
    high=1,
    violation="T25",
    cites=["decree-735.40.1", "fraud-auditor"],
    excuses={"en": "The family's usual provider.", "zh": "患者长期就诊的机构。"},
)
def loyalty(past):
    """Share of the patient's claims in the year before that came from this provider.

    Blind spot: a place with a single provider.
    """
    return ratio(past.count(where=past.same_provider), past.count())


loyalty.fires(1, past={"times": 4})
loyalty.quiet(0, past={"provider_id": "H2", "times": 4})
