"""Groups of patients who come together again and again, seen from where they come."""

from fraud.signals import ratio, signal

_HOME = {
    "en": "A nursing home or a village whose residents are brought together.",
    "zh": "养老机构或村居民由车辆集中接送。",
}
_DAYS = [{"days_ago": d} for d in (10, 21, 32)]
# One other patient a day, so that the house is open all year round.
_OPEN = [{"patient_id": f"Q{d}", "days_ago": d} for d in range(1, 365)]
_RING = [{"patient_id": p, **day} for p in ("A", "B", "C", "E") for day in _DAYS]


def _claims(window):
    return window.count()


@signal(
    entity="provider",
    title={"en": "Share of visits by groups", "zh": "团组结伴就诊占比"},
    says={
        "en": "{value:.1%} of the claims fall on days on which three or more persons of one regular group came "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单发生于同一固定团组三人以上结伴就诊之日(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T26",
    severity="serious",
    cites=["fraud-auditor", "collusion-graph-case", "decree-735.40.1"],
    excuses=_HOME,
)
def ring_visit_share(rings, window):
    """Visits made in company by members of regular groups, over the claims of the window.

    Blind spot: groups that never come on the same day; days with a crowd are left out.

    释义:固定团组成员的结伴就诊次数占窗口内结算单的比例。
    盲区:从不同日就诊的团组;人流密集日不计。
    """
    return ratio(rings.joint_visits.sum(), window.count())


ring_visit_share.fires(12 / 376, window=[*_RING, *_OPEN])
ring_visit_share.quiet(0, window=_OPEN)


@signal(
    entity="provider",
    title={"en": "Largest group that comes together", "zh": "最大结伴就诊团组人数"},
    says={
        "en": "One regular group comes here with {value:.0f} persons; above {limit:.0f} is looked at.",
        "zh": "同一固定团组有{value:.0f}人多次结伴来院,超过{limit:.0f}人即应核查。",
    },
    unit="persons",
    riskier="high",
    default=0,
    violation="T26",
    severity="serious",
    limit="ring_members",
    cites=["fraud-auditor", "collusion-graph-case", "decree-735.40.1"],
    excuses=_HOME,
)
def largest_ring(rings):
    """Members of the largest regular group that came here together.

    Blind spot: groups that never come on the same day; days with a crowd are left out.

    释义:结伴来本机构的最大固定团组人数。
    盲区:从不同日就诊的团组;人流密集日不计。
    """
    return rings.members.max()


_MANY = [{"patient_id": p, **day} for p in ("A", "B", "C", "E", "F", "G") for day in _DAYS]
largest_ring.fires(6, window=[*_MANY, *_OPEN])
largest_ring.fires(7, window=[*_MANY, *({"patient_id": "K", **day} for day in _DAYS), *_OPEN])
# The larger one of two groups, that come on days of their own.
_OTHERS = [{"patient_id": p, "days_ago": d} for p in ("R", "S", "T", "U") for d in (12, 24, 38)]
largest_ring.fires(6, window=[*_MANY, *_OTHERS, *_OPEN])
largest_ring.quiet(5, window=[*_MANY[:15], *_OPEN])
# A family of three is no group.
largest_ring.quiet(0, window=[*_MANY[:9], *_OPEN])
largest_ring.quiet(0, window=_OPEN)


@signal(
    entity="physician",
    title={"en": "Share of visits by groups", "zh": "团组结伴就诊占比"},
    says={
        "en": "{value:.1%} of the claims fall on days on which three or more persons of one regular group came "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单发生于同一固定团组三人以上结伴就诊之日(同专业中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T26",
    severity="serious",
    cites=["fraud-auditor", "collusion-graph-case", "decree-735.40.1"],
    excuses=_HOME,
)
def physician_ring_visit_share(rings, window):
    """Visits made in company by members of regular groups, over the physician's claims of the window.

    Blind spot: groups that never come on the same day; claims that name no physician.

    释义:固定团组成员的结伴就诊次数占本医师窗口内结算单的比例。
    盲区:从不同日就诊的团组;未记录医师的结算单。
    """
    return ratio(rings.joint_visits.sum(), window.count())


physician_ring_visit_share.fires(12 / 376, window=[*_RING, *_OPEN])
physician_ring_visit_share.quiet(0, window=_OPEN)
