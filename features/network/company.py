"""Persons who turn up at the same provider on the same days: companions, families, rings."""

from fraud.signals import signal

_FAMILY = {"en": "A couple or a family that goes together.", "zh": "夫妻或家人结伴就医。"}


@signal(
    entity="patient",
    title={"en": "Regular companions", "zh": "经常同行的参保人数"},
    says={
        "en": "{value:.0f} other persons were repeatedly at the same provider on the same day; above {limit:.0f} is "
        "looked at.",
        "zh": "另有{value:.0f}名参保人多次与其同日在同一机构就诊,超过{limit:.0f}名即应核查。",
    },
    unit="persons",
    riskier="high",
    default=0,
    violation="T26",
    severity="serious",
    limit="companions",
    cites=["fraud-auditor", "collusion-graph-case", "decree-735.40.1"],
    excuses=_FAMILY,
)
def companions(network, limits):
    """Other persons who began care at the same provider on the same day on at least `joint_days` days.

    Blind spot: days on which a crowd of patients comes are left out.
    """
    return network.count(where=network.joint_days >= limits.joint_days)


_DAYS = [{"days_ago": d} for d in (10, 20, 30)]
companions.fires(
    3,
    window=_DAYS,
    others=[{"patient_id": p, "provider_id": "H", **day} for p in ("A", "B", "C") for day in _DAYS],
)
companions.quiet(0, window=_DAYS, others=[{"patient_id": "A", "provider_id": "H", "days_ago": 10}])


@signal(
    entity="patient",
    title={"en": "Companions at several providers", "zh": "跨机构同行的参保人数"},
    says={
        "en": "{value:.0f} other persons were there on the same days at more than one provider.",
        "zh": "另有{value:.0f}名参保人在不止一家机构与其同日就诊。",
    },
    unit="persons",
    riskier="high",
    default=0,
    violation="T26",
    severity="serious",
    cites=["fraud-auditor", "collusion-graph-case"],
    excuses=_FAMILY,
)
def travelling_companions(network, limits):
    """Other persons who shared at least `joint_days` days with this one, at two or more providers.

    Blind spot: rings that use one provider only.
    """
    return network.count(where=(network.joint_days >= limits.joint_days) & (network.joint_providers > 1))


_TOUR = [
    {"days_ago": 10, "provider_id": "H"},
    {"days_ago": 20, "provider_id": "H2"},
    {"days_ago": 30, "provider_id": "H2"},
]
travelling_companions.fires(1, window=_TOUR, others=[{"patient_id": "A", **visit} for visit in _TOUR])
travelling_companions.quiet(0, window=_DAYS, others=[{"patient_id": "A", "provider_id": "H", **day} for day in _DAYS])


@signal(
    entity="patient",
    title={"en": "Days with the closest companion", "zh": "与同一人同日就诊的天数"},
    says={
        "en": "One other person was at the same provider on the same day {value:.0f} times.",
        "zh": "与同一名参保人同日在同一机构就诊{value:.0f}次。",
    },
    unit="days",
    riskier="high",
    default=0,
    volume=True,
    violation="T25",
    cites=["fraud-auditor"],
    excuses=_FAMILY,
)
def closest_companion(network):
    """Largest number of days shared with one other person at the same providers.

    Blind spot: days on which a crowd of patients comes are left out.
    """
    return network.joint_days.max()


closest_companion.fires(3, window=_DAYS, others=[{"patient_id": "A", "provider_id": "H", **day} for day in _DAYS])
closest_companion.quiet(0, window=_DAYS)
