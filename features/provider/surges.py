"""Weeks in which a provider does more than its own past and its region explain."""

from fraud.signals import signal

_NEW = {
    "en": "A new department, a new physician, or a neighbour that closed.",
    "zh": "新设科室、新聘医师或邻近机构停业。",
}
_REFORM = {
    "en": "A contract with another region, or the season of travellers.",
    "zh": "签订异地协议,或外地人员返乡、旅游季节。",
}
# A claim every day from the same sixty patients, a crowd of new ones in one week, and crowds in three weeks.
_EVEN = [{"patient_id": f"P{d % 60}", "days_ago": d} for d in range(1, 421)]
_CROWD = [{"patient_id": f"Q{i}", "days_ago": 8 + i % 6} for i in range(30)]
_RISE = [{**row, "days_ago": int(str(row["days_ago"])) + 7 * week} for row in _CROWD for week in range(3)]
_AWAY = [{**row, "out_of_area": "self_arranged"} for row in (*_EVEN, *_CROWD)]


@signal(
    title={"en": "Surge of one disease", "zh": "单病种突增"},
    says={
        "en": "In one week the claims for one disease were {value:.1f} standard deviations above "
        "what the weeks before and the rest of the region explain; above {limit:.0f} is looked at.",
        "zh": "某一病种单周结算量较前期及同区域同病种水平高出{value:.1f}个标准差,超过{limit:.0f}即应核查。",
    },
    unit="deviations",
    riskier="high",
    default=0,
    peer=True,
    violation="T40",
    limit="surge",
    cites=["project-document-002"],
    excuses=_NEW,
)
def disease_surge(surges):
    """Largest deviation of a week of one disease (ICD category) from the weeks before it and the region.

    Blind spot: diseases with fewer than a claim in two weeks.

    释义:某病种(ICD类目)一周的量相对此前各周及本地区的最大偏差。
    盲区:两周不足一张结算单的病种。
    """
    return surges.deviation.max(where=surges.series == "disease")


disease_surge.fires(30 / 7**0.5, window=[*_EVEN, *_CROWD])
_AROUND = [
    {**row, "provider_id": f"H{n}", "patient_id": f"{row['patient_id']}x{n}"}
    for row in (*_EVEN, *_CROWD)
    for n in range(2, 6)
]
_CHILLS = [{**row, "primary_diagnosis": "J18"} for row in _CROWD]
disease_surge.fires(16 / 7**0.5, window=[*_EVEN, *_CROWD[:16]])
# A disease that was never treated here before.
disease_surge.fires(30, window=[*_EVEN, *_CHILLS])
disease_surge.quiet(15 / 7**0.5, window=[*_EVEN, *_CROWD[:15]])
# The whole region has it; and a house that opened two months ago.
disease_surge.quiet(0, window=[*_EVEN, *_CROWD], others=_AROUND)
disease_surge.quiet(0, window=[*_EVEN[:60], *_CROWD])
disease_surge.quiet(0, window=_EVEN)


@signal(
    title={"en": "Lasting rise of one disease", "zh": "单病种持续上升"},
    says={
        "en": "The claims for one disease rose and stayed up: cumulative sum {value:.1f}; above "
        "{limit:.0f} is looked at (peers: {peer_median:.1f}).",
        "zh": "某一病种结算量上升且持续:累积和{value:.1f},超过{limit:.0f}即应核查(同类机构中位数{peer_median:.1f})。",
    },
    unit="deviations",
    riskier="high",
    default=0,
    peer=True,
    violation="T40",
    limit="shift",
    cites=["project-document-002"],
    excuses=_NEW,
)
def disease_shift(surges):
    """Largest cumulative sum (CUSUM) of the deviations of a disease in the weeks of the window.

    Blind spot: a rise as old as the window.

    释义:窗口内某病种各周偏差的最大累积和(CUSUM)。
    盲区:早于窗口的上升。
    """
    return surges.cusum.max(where=surges.series == "disease")


disease_shift.fires(13.5, window=[*_EVEN, *_RISE])
disease_shift.fires(13.5, window=[*_EVEN, *({**row, "primary_diagnosis": "J18"} for row in _RISE)])
# Four weeks with a dozen more each.
_TWELVE = [{**row, "days_ago": int(str(row["days_ago"])) + 7 * week} for row in _CROWD[:12] for week in range(4)]
disease_shift.fires(4 * (12 / 7**0.5 - 0.5), window=[*_EVEN, *_TWELVE])
# Two weeks; and one, however large.
disease_shift.quiet(9, window=[*_EVEN, *(row for row in _RISE if int(str(row["days_ago"])) < 22)])
disease_shift.quiet(4.5, window=[*_EVEN, *_CROWD])
disease_shift.quiet(0, window=_EVEN)


@signal(
    title={"en": "Lasting rise of all claims", "zh": "结算总量持续上升"},
    says={
        "en": "The claims rose above the past and the region and stayed up: cumulative sum "
        "{value:.1f} (peers: {peer_median:.1f}).",
        "zh": "结算总量超出前期及区域水平并持续:累积和{value:.1f}(同类机构中位数{peer_median:.1f})。",
    },
    unit="deviations",
    riskier="high",
    default=0,
    peer=True,
    violation="T40",
    cites=["project-document-002"],
    excuses=_NEW,
)
def volume_shift(surges):
    """Largest cumulative sum (CUSUM) of the deviations of all claims in the weeks of the window.

    Blind spot: a rise as old as the window.

    释义:窗口内全部结算量各周偏差的最大累积和(CUSUM)。
    盲区:早于窗口的上升。
    """
    return surges.cusum.max(where=surges.series == "claims")


volume_shift.fires(13.5, window=[*_EVEN, *_RISE])
volume_shift.quiet(0, window=_EVEN)


@signal(
    title={"en": "Surge of new patients", "zh": "新患者突增"},
    says={
        "en": "In one week {value:.1f} standard deviations more patients than the past and the "
        "region explain came for the first time (peers: {peer_median:.1f}).",
        "zh": "某周首次来院患者数较前期及区域水平高出{value:.1f}个标准差(同类机构中位数{peer_median:.1f})。",
    },
    unit="deviations",
    riskier="high",
    default=0,
    peer=True,
    violation="T25",
    cites=["project-document-002"],
    excuses={"en": "A screening campaign, or a neighbour that closed.", "zh": "开展筛查活动,或邻近机构停业。"},
)
def new_patient_surge(surges):
    """Largest deviation of the patients of a week who were never here before.

    Blind spot: the first weeks of the data, when everybody is new.

    释义:一周内从未来过的新患者数的最大偏差。
    盲区:数据最初几周,人人都是新患者。
    """
    return surges.deviation.max(where=surges.series == "new_patients")


new_patient_surge.fires(30, window=[*_EVEN, *_CROWD])
new_patient_surge.quiet(0, window=_EVEN)


@signal(
    title={"en": "Surge of spending from elsewhere", "zh": "异地就医费用突增"},
    says={
        "en": "In one week the claims of patients from elsewhere cost {value:.1f} standard "
        "deviations more than the past and the region explain (peers: {peer_median:.1f}).",
        "zh": "某周异地患者费用较前期及区域水平高出{value:.1f}个标准差(同类机构中位数{peer_median:.1f})。",
    },
    unit="deviations",
    riskier="high",
    default=0,
    peer=True,
    violation="T40",
    cites=["project-document-002"],
    excuses=_REFORM,
)
def out_of_area_surge(surges):
    """Largest deviation of what the claims of patients from elsewhere cost in a week.

    Blind spot: few claims from elsewhere.

    释义:一周内外地参保人费用的最大偏差。
    盲区:外地结算单很少时。
    """
    return surges.deviation.max(where=surges.series == "out_of_area")


out_of_area_surge.fires(30 / 7**0.5, window=_AWAY)
out_of_area_surge.quiet(0, window=_EVEN)
