"""Where a provider's patients come from, and how their care ends."""

from datetime import date

from fraud.signals import days_between, ratio, share, signal


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

    释义:窗口内结束后`died_soon_days`天内患者死亡的结算单占比。
    盲区:死亡登记滞后。
    """
    known = window.patient_died_on < window.snapshot.date()
    soon = days_between(window.patient_died_on, window.discharged_at) <= limits.died_soon_days
    return share(known & soon)


died_soon_share.fires(
    1, window={"days_ago": 60, "times": 2}, patients={"patient_id": "P", "died_on": date(2024, 5, 20)}
)
died_soon_share.quiet(0, window={"days_ago": 60, "times": 2})


@signal(
    title={"en": "Shift of the catchment", "zh": "患者来源地变化"},
    says={
        "en": "Where the patients come from changed by {value:.3f} bits in the last three months "
        "(peers: {peer_median:.3f}).",
        "zh": "近三个月患者来源地分布较此前变化{value:.3f}比特(同类机构中位数{peer_median:.3f})。",
    },
    unit="bits",
    riskier="high",
    high=1,
    peer=True,
    violation="T30",
    cites=["causes-35", "project-document-002"],
    excuses={"en": "A contract with another region.", "zh": "与外地签订医保协议。"},
)
def catchment_shift(catchment, limits):
    """Jensen-Shannon divergence between the insured regions of the last three months' claims and the earlier ones'.

    Less what chance alone gives among so many claims; unknown below `few_referrals` claims on either side.
    Blind spot: movements within one region.

    释义:近三个月与此前结算单的参保地区分布之间的JS散度。
    盲区:同一地区内部的变动。
    """
    recent, earlier = catchment.all_recent.max(), catchment.all_earlier.max()
    p = ratio(catchment.recent_claims, catchment.all_recent)
    q = ratio(catchment.earlier_claims, catchment.all_earlier)
    bits = (_surprise((p + q) / 2) - _surprise(p) / 2 - _surprise(q) / 2).sum()
    # The mean divergence of two samples of one distribution: (regions - 1) · (1/n + 1/m) / (8 · ln 2).
    chance = (catchment.count() - 1) * (ratio(recent, recent * recent) + ratio(earlier, earlier * earlier)) / 5.545
    beyond = (bits > chance).ifelse(bits - chance, 0.0)
    return ((recent >= limits.few_referrals) & (earlier >= limits.few_referrals)).ifelse(beyond, None)


def _surprise(share_of_region):
    """What a share adds to the entropy, in bits; nothing where it is 0."""
    return -(share_of_region * share_of_region.nullif(0.0).log2()).fill_null(0.0)


_FROM = [{"patient_id": "P1", "insured_region": "A"}, {"patient_id": "P2", "insured_region": "B"}]
_BEFORE = [{"patient_id": "P1", "days_ago": 200, "times": 100}]
catchment_shift.fires(1 - 2 / 100 / 5.545, window=[*_BEFORE, {"patient_id": "P2", "times": 100}], patients=_FROM)
catchment_shift.quiet(0, window=[*_BEFORE, {"patient_id": "P1", "times": 100}], patients=_FROM)
catchment_shift.quiet(None, window=[{"patient_id": "P1"}, {"patient_id": "P2", "days_ago": 200}], patients=_FROM)
