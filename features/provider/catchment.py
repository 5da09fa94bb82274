"""Where a provider's patients come from, and how their care ends."""

from datetime import date

from fraud.signals import days_between, ratio, share, signal


@signal(
    title={"en": "Patients from other regions", "zh": "主要来源地以外患者占比"},
    says={
        "en": "{value:.1%} of the claims are of patients insured outside the region where most come from "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单患者参保地不在主要来源地(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T30",
    cites=["causes-35"],
    excuses={"en": "A referral centre, or a town on a border.", "zh": "转诊中心,或地处区域交界。"},
)
def other_region_share(by_region):
    """Share of the claims whose patient is insured outside the region that insures most patients here.

    Blind spot: regions of very different size.
    """
    return 1 - ratio(by_region.claims.max(), by_region.claims.sum())


other_region_share.fires(
    0.5,
    window=[{"patient_id": "P1"}, {"patient_id": "P2"}],
    patients=[{"patient_id": "P1", "insured_region": "A"}, {"patient_id": "P2", "insured_region": "B"}],
)
other_region_share.quiet(0, window={"times": 2}, patients={"patient_id": "P", "insured_region": "A"})


@signal(
    title={"en": "Patients who died soon", "zh": "诊疗后短期死亡占比"},
    says={
        "en": "{value:.1%} of the claims are of patients who died soon after it began (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单患者于就诊后短期内死亡(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="either",
    high=1,
    default=0,
    peer=True,
    violation="T39",
    cites=["weihai-model"],
    excuses={"en": "A hospice or an intensive care unit.", "zh": "设有安宁疗护或重症监护病区。"},
)
def died_soon_share(window, limits):
    """Share of the window's claims whose patient died at most `died_soon_days` after the claim ended.

    Only deaths before the snapshot count. Blind spot: deaths that are registered late.
    """
    known = window.patient_died_on < window.snapshot.date()
    soon = days_between(window.patient_died_on, window.discharged_at) <= limits.died_soon_days
    return share(known & soon)


died_soon_share.fires(
    1, window={"days_ago": 60, "times": 2}, patients={"patient_id": "P", "died_on": date(2024, 5, 20)}
)
died_soon_share.quiet(0, window={"days_ago": 60, "times": 2})
