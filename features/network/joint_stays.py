"""Persons who are admitted to one hospital together, again and again."""

from fraud.signals import ratio, signal

_FAMILY = {
    "en": "A couple treated in the same cycles, or patients of one planned programme.",
    "zh": "夫妻按同一周期住院,或同一疗程项目的患者。",
}
_STAYS = [{"visit_type": "inpatient", "stay_days": 3, "days_ago": d} for d in (40, 90)]
_GROUP = [{**stay, "patient_id": p} for p in ("A", "B", "C", "E", "F", "G") for stay in _STAYS]


@signal(
    entity="patient",
    title={"en": "Persons admitted together", "zh": "多次同期住院的参保人数"},
    says={
        "en": "{value:.0f} other persons were admitted to the same hospital within two days of this one, more than "
        "once; above {limit:.0f} is looked at.",
        "zh": "另有{value:.0f}名参保人多次与其在两日内先后入住同一医院,超过{limit:.0f}名即应核查。",
    },
    unit="persons",
    riskier="high",
    default=0,
    violation="T03",
    severity="serious",
    limit="admitted_together",
    cites=["collusion-graph-case", "decree-735.40.2", "decree-735.40.3"],
    excuses=_FAMILY,
)
def admitted_together(joint_stays):
    """Other persons with at least two admissions to one hospital at most two days from this person's.

    Blind spot: groups whose members go to different hospitals.

    释义:与本人至少两次在同院、相隔不超过两日入院的其他人数。
    盲区:成员分赴不同医院的团组。
    """
    return joint_stays.other_id.nunique()


admitted_together.fires(6, window=_STAYS, others=[{**row, "provider_id": "H"} for row in _GROUP])
_LATER = [{**row, "provider_id": "H", "days_ago": int(str(row["days_ago"])) - 2} for row in _GROUP]
admitted_together.fires(3, window=_STAYS, others=_LATER[:6])
_ELSEWHERE = [{**row, "provider_id": "H2"} for row in _GROUP]
admitted_together.fires(6, window=[{**stay, "provider_id": "H2"} for stay in _STAYS], others=_ELSEWHERE)
admitted_together.quiet(2, window=_STAYS, others=_LATER[:4])
# Three days apart; and at another hospital.
admitted_together.quiet(0, window=_STAYS, others=[{**row, "days_ago": int(str(row["days_ago"])) - 1} for row in _LATER])
admitted_together.quiet(0, window=_STAYS, others=_ELSEWHERE)
admitted_together.quiet(0, window=_STAYS[0], others=[{**row, "provider_id": "H"} for row in _GROUP])


@signal(
    entity="provider",
    title={"en": "Largest group admitted together", "zh": "最大同期住院团组人数"},
    says={
        "en": "{value:.0f} persons are linked by being admitted together more than once; above {limit:.0f} is "
        "looked at.",
        "zh": "{value:.0f}名参保人因多次同期入院而彼此关联,超过{limit:.0f}名即应核查。",
    },
    unit="persons",
    riskier="high",
    default=0,
    volume=True,
    peer=True,
    violation="T03",
    severity="serious",
    limit="admission_cluster",
    cites=["collusion-graph-case", "decree-735.40.2", "decree-735.40.3"],
    excuses=_FAMILY,
)
def admission_cluster(joint_stays):
    """Persons in the largest cluster that repeated joint admissions link together.

    Blind spot: a hospital with many chronic readmissions has clusters by chance; compare with its peers.

    释义:由多次同期住院联结而成的最大团组人数。
    盲区:慢性病反复住院多的医院会偶然成团,应与同类比较。
    """
    return joint_stays.cluster_size.max()


admission_cluster.fires(6, window=_GROUP)
# Each comes two days after the one before: nobody meets more than two others.
_CHAIN = [
    {**stay, "patient_id": f"P{i}", "days_ago": int(str(stay["days_ago"])) + 2 * i} for i in range(6) for stay in _STAYS
]
admission_cluster.fires(6, window=_CHAIN)
admission_cluster.fires(7, window=[{**stay, "patient_id": f"P{i}"} for i in range(7) for stay in _STAYS])
admission_cluster.quiet(5, window=_CHAIN[:10])
# A couple in the same cycles, beside others who met nobody twice.
admission_cluster.quiet(
    2,
    window=[*_GROUP[:4], *({**row, "days_ago": 10 * i} for i, row in enumerate(_GROUP[4:]))],
)
admission_cluster.quiet(0, window=[{**_STAYS[0], "patient_id": p} for p in ("A", "B", "C", "E")])


def _returning(window):
    return window.patient_id.nunique(where=window.visit_type == "inpatient")


@signal(
    entity="provider",
    title={"en": "Share of patients admitted together", "zh": "同期住院患者占比"},
    says={
        "en": "{value:.1%} of the persons with a stay here were admitted together with another one more than once "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的住院患者与他人多次同期入院(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_returning,
    violation="T03",
    cites=["collusion-graph-case", "decree-735.40.2"],
    excuses=_FAMILY,
)
def admitted_together_share(joint_stays, window):
    """Persons with repeated joint admissions here, over all persons with a stay here.

    Blind spot: hospitals with fixed admission days.

    释义:在本院多次同期住院的人数占全部住院人数的比例。
    盲区:固定日期收治的医院。
    """
    return ratio(joint_stays.patient_id.nunique(), window.patient_id.nunique(where=window.visit_type == "inpatient"))


admitted_together_share.fires(
    0.75, window=[*_GROUP, {**_STAYS[0], "patient_id": "X"}, {**_STAYS[0], "patient_id": "Y"}]
)
admitted_together_share.quiet(0, window=[{**_STAYS[0], "patient_id": p} for p in ("A", "B", "C", "E")])
