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
    """
    return ratio(claim.stay_days, claim.expected_days)


nights_against_expected.fires(
    5,
    claim={"visit_type": "inpatient", "stay_days": 20},
    norms={"domain": "case", "code": "inpatient|I10", "days": 4.0},
)
nights_against_expected.quiet(
    1,
    claim={"visit_type": "inpatient", "stay_days": 4},
    norms={"domain": "case", "code": "inpatient|I10", "days": 4.0},
)
