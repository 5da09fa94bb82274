"""Patients that providers have in common."""

from fraud.signals import signal


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
