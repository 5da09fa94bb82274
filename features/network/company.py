"""Persons who turn up at the same provider on the same days: companions, families, rings."""

from fraud.signals import ratio, signal

_FAMILY = {"en": "A couple or a family that goes together.", "zh": "夫妻或家人结伴就医。"}
_HOME = {
    "en": "Residents of a nursing home or a remote village who are driven to the doctor together.",
    "zh": "养老机构老人或偏远村居民由车辆集中接送就医。",
}


@signal(
    entity="patient",
    title={"en": "Regular companions", "zh": "经常同行的参保人数"},
    says={
        "en": "{value:.0f} other persons were repeatedly at the same provider on the same day; above {limit:.0f} is "
        "looked at.",
        "zh": "另有{value:.0f}名参保人多次与其同日在同一机构就诊,超过{limit:.0f}名即应核查。",
    },
    unit="persons",
    version=2,
    riskier="high",
    default=0,
    violation="T26",
    severity="serious",
    limit="companions",
    cites=["fraud-auditor", "collusion-graph-case", "decree-735.40.1"],
    excuses=_FAMILY,
)
def companions(ties, limits):
    """Other persons who began care at the same provider on the same day on at least `joint_days` days.

    Only those count who did so more often than chance explains, given how often both come and on which days of
    the week. Blind spot: days on which a crowd of patients comes are left out.

    释义:至少在`joint_days`天同日同机构开始就诊的其他人数。
    盲区:患者成批就诊的日期不计。
    """
    return ties.count(where=ties.joint_days >= limits.joint_days)


_DAYS = [{"days_ago": d} for d in (10, 21, 32)]
# Other patients on every day of the year: without them, everybody who comes at all would meet.
_OPEN = [{"provider_id": p, "days_ago": d} for p in ("H", "H2") for d in range(1, 365)]
companions.fires(
    3,
    window=_DAYS,
    others=[*_OPEN, *({"patient_id": p, "provider_id": "H", **day} for p in ("A", "B", "C") for day in _DAYS)],
)
# Two of the days at one house and two at another.
_FOUR = [{"provider_id": h, "days_ago": d} for h, d in (("H", 10), ("H", 21), ("H2", 32), ("H2", 45))]
companions.fires(
    4, window=_FOUR, others=[*_OPEN, *({"patient_id": p, **day} for p in ("A", "B", "C", "E") for day in _FOUR)]
)
companions.fires(
    3,
    window=[*_DAYS, {"days_ago": 60}, {"days_ago": 75}],
    others=[*_OPEN, *({"patient_id": p, "provider_id": "H", **day} for p in ("A", "B", "C") for day in _DAYS)],
)
# A family of three.
companions.quiet(
    2,
    window=_DAYS,
    others=[*_OPEN, *({"patient_id": p, "provider_id": "H", **day} for p in ("A", "B") for day in _DAYS)],
)
# A dialysis shift: the same persons on the same weekdays, week after week, as nobody could avoid.
_SHIFT = [{"days_ago": 7 * week + day} for week in range(52) for day in (3, 5, 7)]
companions.quiet(
    0,
    window=_SHIFT,
    others=[*_OPEN, *({"patient_id": p, "provider_id": "H", **day} for p in ("A", "B", "C") for day in _SHIFT)],
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
    version=2,
    riskier="high",
    default=0,
    violation="T26",
    severity="serious",
    cites=["fraud-auditor", "collusion-graph-case"],
    excuses=_FAMILY,
)
def travelling_companions(ties, limits):
    """Other persons who shared at least `joint_days` days with this one, at two or more providers.

    Blind spot: rings that use one provider only.

    释义:在两家以上机构与本人共度至少`joint_days`个就诊日的其他人数。
    盲区:只使用一家机构的团伙。
    """
    return ties.count(where=(ties.joint_days >= limits.joint_days) & (ties.joint_providers > 1))


_TOUR = [
    {"days_ago": 10, "provider_id": "H"},
    {"days_ago": 21, "provider_id": "H2"},
    {"days_ago": 32, "provider_id": "H2"},
]
_PAIR = [*_OPEN, *({"patient_id": "A", "provider_id": "H", **day} for day in _DAYS)]
travelling_companions.fires(1, window=_TOUR, others=[*_OPEN, *({"patient_id": "A", **visit} for visit in _TOUR)])
travelling_companions.quiet(0, window=_DAYS, others=_PAIR)


@signal(
    entity="patient",
    title={"en": "Days with the closest companion", "zh": "与同一人同日就诊的天数"},
    says={
        "en": "One other person was at the same provider on the same day {value:.0f} times.",
        "zh": "与同一名参保人同日在同一机构就诊{value:.0f}次。",
    },
    unit="days",
    version=2,
    riskier="high",
    default=0,
    volume=True,
    violation="T25",
    cites=["fraud-auditor"],
    excuses=_FAMILY,
)
def closest_companion(ties):
    """Largest number of days shared with one other person at the same providers, more often than chance explains.

    Blind spot: days on which a crowd of patients comes are left out.

    释义:与另一人在相同机构同日就诊、且超出偶然的最多天数。
    盲区:患者成批就诊的日期不计。
    """
    return ties.joint_days.max()


closest_companion.fires(3, window=_DAYS, others=_PAIR)
closest_companion.quiet(0, window=_DAYS)


@signal(
    entity="patient",
    title={"en": "Depth of the group that comes together", "zh": "结伴就医团组的紧密程度"},
    says={
        "en": "The person belongs to a group in which everybody was repeatedly at the same provider on the same days "
        "with at least {value:.0f} others of the group; from {limit:.0f} on it is looked at.",
        "zh": "参保人所在团组中,每人都与至少{value:.0f}名其他成员多次同日同机构就诊,超过{limit:.0f}名即应核查。",
    },
    unit="persons",
    riskier="high",
    default=0,
    violation="T25",
    severity="serious",
    limit="ring_core",
    cites=["fraud-auditor", "collusion-graph-case", "decree-735.40.1"],
    excuses=_HOME,
)
def ring_core(ties):
    """Core number of the person in the graph of ties: the largest k of a group where all have k ties within it.

    Blind spot: rings whose members never come on the same day.

    释义:本人在关系图中的核数:使团组内每人都有k条联系的最大k值。
    盲区:成员从不同日就诊的团伙。
    """
    return ties.core.max()


_RING = [{"patient_id": p, "provider_id": "H", **day} for p in ("A", "B", "C", "D") for day in _DAYS]
ring_core.fires(4, window=_DAYS, others=[*_OPEN, *_RING])
_WIDE = [{"patient_id": p, **day} for p in ("A", "B", "C", "E", "F") for day in _TOUR]
ring_core.fires(5, window=_TOUR, others=[*_OPEN, *_WIDE])
# One who comes with two of the group only does not make it less.
ring_core.fires(
    4,
    window=_DAYS,
    others=[*_OPEN, *_RING, *({"patient_id": "Z", "provider_id": "H", **day} for day in _DAYS[:2])],
)
ring_core.quiet(3, window=_DAYS, others=[*_OPEN, *_RING[:9]])
ring_core.quiet(0, window=_DAYS, others=_OPEN)
ring_core.quiet(1, window=_DAYS, others=_PAIR)


@signal(
    entity="patient",
    title={"en": "Share of visits made in a group", "zh": "团组结伴就诊占比"},
    says={
        "en": "On {value:.0%} of the days with a visit, several others of the same group were there too.",
        "zh": "{value:.0%}的就诊日有同一团组的多名成员同日在同一机构就诊。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    violation="T26",
    severity="serious",
    cites=["fraud-auditor", "collusion-graph-case"],
    excuses=_HOME,
)
def group_visit_share(ties):
    """Share of the person's visiting days on which at least two others of the person's group were there too.

    A group are persons who all have several ties among themselves. Blind spot: small groups; a couple is none.

    释义:本人就诊日中至少有两名同团组成员同在的占比。
    盲区:小团组;两人不算。
    """
    return ratio(ties.days_in_company.max(), ties.visit_days.max())


group_visit_share.fires(0.75, window=[*_DAYS, {"days_ago": 50}], others=[*_OPEN, *_RING])
group_visit_share.quiet(0, window=_DAYS, others=_PAIR)
