"""Where patients are sent, where stays come from, and where the patients of a suspended provider go."""

from datetime import date

from fraud.signals import ratio, signal

_ONLY = {"en": "The only hospital of the district, or a medical alliance.", "zh": "辖区内唯一医院,或医联体转诊。"}
_VISIT = {"days_ago": 40}


@signal(
    entity="provider",
    title={"en": "Admissions sent to one hospital", "zh": "转诊住院集中于一家医院的比例"},
    says={
        "en": "Of the stays elsewhere that follow a visit here within two weeks, {value:.0%} are at one hospital "
        "(peers: {peer_median:.0%}).",
        "zh": "患者来诊两周内到他院住院的,{value:.0%}集中于同一家医院(同类机构中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T25",
    cites=["decree-735.40.1", "rules-2026", "fraud-auditor"],
    excuses=_ONLY,
)
def referral_concentration(referrals, limits):
    """Largest share of one hospital in the stays that follow a visit here; unknown below `few_referrals` stays.

    Blind spot: patients who would have gone there anyway.

    释义:离开本机构后住院中去往同一医院的最大占比;少于`few_referrals`次时未知。
    盲区:本来就会去那里的患者。
    """
    stays = referrals.stays.sum()
    return (stays >= limits.few_referrals).ifelse(ratio(referrals.stays.max(), stays), None)


_SENT = [
    {"patient_id": f"P{i}", "provider_id": "H9", "visit_type": "inpatient", "days_ago": 35, "stay_days": 3}
    for i in range(10)
]
_SEEN = [{**_VISIT, "patient_id": f"P{i}"} for i in range(10)]
referral_concentration.fires(1, window=_SEEN, others=_SENT)
referral_concentration.quiet(
    0.2, window=_SEEN, others=[{**row, "provider_id": f"H{i % 5 + 2}"} for i, row in enumerate(_SENT)]
)
referral_concentration.quiet(None, window=_SEEN[:3], others=_SENT[:3])


@signal(
    entity="provider",
    title={"en": "Stays fed by one provider", "zh": "住院患者来自同一机构的比例"},
    says={
        "en": "{value:.0%} of the stays follow a visit at one and the same other provider within two weeks "
        "(peers: {peer_median:.0%}).",
        "zh": "{value:.0%}的住院患者两周内曾在同一家其他机构就诊(同类机构中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T25",
    cites=["decree-735.40.1", "rules-2026", "fraud-auditor"],
    excuses=_ONLY,
)
def feeder_concentration(feeders, window, limits):
    """Largest share of the stays that follow a visit at one other provider; unknown below `few_referrals` stays.

    Blind spot: recruiters who are no providers.

    释义:就诊后转来的住院中来自同一机构的最大占比;少于`few_referrals`次时未知。
    盲区:并非医疗机构的招揽者。
    """
    stays = window.count(where=window.visit_type == "inpatient")
    share_of_one = ratio(feeders.stays.max().fill_null(0), stays)
    return (stays >= limits.few_referrals).ifelse(share_of_one, None)


_STAYS = [{"patient_id": f"P{i}", "visit_type": "inpatient", "days_ago": 35, "stay_days": 3} for i in range(10)]
_CAME = [{"patient_id": f"P{i}", "provider_id": "K", "days_ago": 38} for i in range(10)]
feeder_concentration.fires(1, window=_STAYS, others=_CAME)
feeder_concentration.quiet(0.1, window=_STAYS, others=_CAME[:1])
feeder_concentration.quiet(None, window=_STAYS[:2], others=_CAME)


@signal(
    entity="provider",
    title={"en": "Patients taken over from a suspended provider", "zh": "承接被暂停机构患者的比例"},
    says={
        "en": "{value:.0%} of the patients of a provider that was suspended came here, for the first time in months, "
        "within 30 days; above {limit:.0%} is looked at.",
        "zh": "某机构被暂停后30日内,其{value:.0%}的患者首次转至本机构结算,超过{limit:.0%}即应核查。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T30",
    severity="serious",
    limit="taken_over",
    cites=["causes-35", "rules-2026"],
    excuses={"en": "The next provider of the same kind in the neighbourhood.", "zh": "就近的同类机构自然承接患者。"},
)
def taken_over_share(suspended, limits):
    """Largest share of a suspended provider's patients of three months who came here within 30 days.

    Who was here in these months already does not count, nor a provider with fewer than `few_referrals` patients.
    Blind spot: patients who scatter over several providers.

    释义:被暂停机构三个月内的患者在30天内转来本机构的最大占比。
    盲区:分散到多家机构的患者。
    """
    known = suspended.their_patients >= limits.few_referrals
    return ratio(suspended.moved_patients, suspended.their_patients).max(where=known)


_CLOSED = [{"provider_id": "S", "suspended_from": date(2024, 5, 1)}]
_THEIRS = [{"patient_id": f"P{i}", "provider_id": "S", "days_ago": 80} for i in range(10)]
taken_over_share.fires(
    0.8, window=[{"patient_id": f"P{i}", "days_ago": 50} for i in range(8)], others=_THEIRS, providers=_CLOSED
)
taken_over_share.fires(
    0.3, window=[{"patient_id": f"P{i}", "days_ago": 31} for i in range(3)], others=_THEIRS, providers=_CLOSED
)
# Two were suspended on the day; only the patients of the one came.
taken_over_share.fires(
    0.5,
    window=[{"patient_id": f"P{i}", "days_ago": 50} for i in range(5)],
    others=[*_THEIRS, *({**row, "patient_id": f"R{i}", "provider_id": "S2"} for i, row in enumerate(_THEIRS))],
    providers=[*_CLOSED, {**_CLOSED[0], "provider_id": "S2"}],
)
taken_over_share.quiet(
    0.2, window=[{"patient_id": f"P{i}", "days_ago": 50} for i in range(2)], others=_THEIRS, providers=_CLOSED
)
# More than a month later; and from a house of nine patients.
taken_over_share.quiet(
    0, window=[{"patient_id": f"P{i}", "days_ago": 30} for i in range(8)], others=_THEIRS, providers=_CLOSED
)
taken_over_share.quiet(
    0, window=[{"patient_id": f"P{i}", "days_ago": 50} for i in range(8)], others=_THEIRS[:9], providers=_CLOSED
)
taken_over_share.quiet(
    0,
    window=[{"patient_id": f"P{i}", "days_ago": d} for i in range(8) for d in (50, 75)],
    others=_THEIRS,
    providers=_CLOSED,
)
