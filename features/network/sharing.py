"""Patients that providers, or physicians, have in common: who keeps to itself, and who is tied to whom."""

from fraud.signals import ratio, signal


@signal(
    entity="provider",
    title={"en": "Providers with shared patients", "zh": "共享患者的机构数"},
    says={
        "en": "Patients are shared with {value:,.0f} other providers (peers: {peer_median:,.0f}).",
        "zh": "与{value:,.0f}家其他机构共享患者(同类机构中位数{peer_median:,.0f}家)。",
    },
    unit="providers",
    riskier="high",
    default=0,
    volume=True,
    violation="T25",
    cites=["fraud-auditor"],
    excuses={"en": "A large hospital.", "zh": "规模较大的机构。"},
)
def sharing_providers(network):
    """Other providers with at least one patient in common in the window.

    Blind spot: grows with the number of patients.

    释义:窗口内至少有一名共同患者的其他机构数。
    盲区:随患者数增长。
    """
    return network.count()


sharing_providers.fires(3, window={}, others={"patient_id": "P", "provider_id": "H#", "times": 3})
sharing_providers.quiet(0, window={})


@signal(
    entity="physician",
    title={"en": "Strongest tie to another physician", "zh": "与另一医师共享患者的最高比例"},
    says={
        "en": "{value:.0%} of the patients are shared with one single other physician (peers: {peer_median:.0%}).",
        "zh": "{value:.0%}的患者与同一名其他医师共享(同专业中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T26",
    cites=["fraud-auditor", "collusion-graph-case"],
    excuses={"en": "Two colleagues of one team.", "zh": "同一团队的同事。"},
)
def physician_strongest_tie(network, window):
    """Largest number of patients shared with one other physician, over all patients of this one.

    Blind spot: a physician with few patients shares by chance.

    释义:与另一名医师共有的患者数占本医师全部患者的最大比例。
    盲区:患者少的医师偶然共享。
    """
    return ratio(network.shared_patients.max(), window.patient_id.nunique())


physician_strongest_tie.fires(1, window={"patient_id": "P1"}, others={"patient_id": "P1", "physician_id": "D2"})
physician_strongest_tie.quiet(0, window={"patient_id": "P1"})
