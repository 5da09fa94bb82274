"""Patients that providers, or physicians, have in common: who keeps to itself, and who is tied to whom."""

from fraud.signals import ratio, signal

_ALONE = {"en": "The only provider in the area.", "zh": "当地唯一的机构。"}
_REFERRAL = {"en": "A regular referral from one hospital to the other.", "zh": "两院间的正常转诊。"}


@signal(
    entity="provider",
    title={"en": "Patients who go nowhere else", "zh": "仅在本机构就诊的患者占比"},
    says={
        "en": "{value:.0%} of the patients were at no other provider in the window (peers: {peer_median:.0%}).",
        "zh": "{value:.0%}的患者观察期内未在其他机构就诊(同类机构中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T25",
    cites=["fraud-auditor", "decree-735.40.1"],
    excuses=_ALONE,
)
def captive_share(by_patient):
    """Share of the provider's patients without a claim at any other provider in the same window.

    Blind spot: care that another payer pays.

    释义:同一窗口内未在其他机构就诊的本机构患者占比。
    盲区:由其他支付方支付的诊疗。
    """
    return (by_patient.claims_elsewhere == 0).mean()


_ELSEWHERE = {"patient_id": "P1", "provider_id": "H2"}
captive_share.fires(1, window={"patient_id": "P#", "times": 4})
captive_share.quiet(0, window={"patient_id": "P1"}, others=_ELSEWHERE)


@signal(
    entity="provider",
    title={"en": "Providers that each patient also uses", "zh": "患者同期就诊的其他机构数"},
    says={
        "en": "A patient was at {value:.2f} other providers on average (peers: {peer_median:.2f}).",
        "zh": "患者同期平均还在{value:.2f}家其他机构就诊(同类机构中位数{peer_median:.2f}家)。",
    },
    unit="providers",
    riskier="either",
    peer=True,
    violation="T27",
    cites=["gao-18-15", "fraud-auditor"],
    excuses={"en": "A specialised hospital.", "zh": "专科医院。"},
)
def places_per_patient(by_patient):
    """Mean number of other providers that a patient of this one had claims at in the same window.

    Blind spot: branches of one chain count apart.

    释义:本机构患者同一窗口内平均就诊的其他机构数。
    盲区:同一连锁的分店分别计数。
    """
    return by_patient.places_elsewhere.mean()


places_per_patient.fires(3, window={"patient_id": "P1"}, others={"patient_id": "P1", "provider_id": "Q#", "times": 3})
places_per_patient.quiet(0, window={"patient_id": "P1"})


@signal(
    entity="provider",
    title={"en": "Strongest tie to another provider", "zh": "与另一机构共享患者的最高比例"},
    says={
        "en": "{value:.0%} of the patients are shared with one single other provider (peers: {peer_median:.0%}).",
        "zh": "{value:.0%}的患者与同一家其他机构共享(同类机构中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T26",
    cites=["fraud-auditor", "collusion-graph-case"],
    excuses=_REFERRAL,
)
def strongest_tie(network, window):
    """Largest number of patients shared with one other provider, over all patients of this one.

    Blind spot: small providers share by chance.

    释义:与另一机构共有的患者数占本机构全部患者的最大比例。
    盲区:小机构偶然共享。
    """
    return ratio(network.shared_patients.max(), window.patient_id.nunique())


_SHARED = [{"patient_id": "P1", "provider_id": "H2"}, {"patient_id": "P2", "provider_id": "H2"}]
strongest_tie.fires(1, window=[{"patient_id": "P1"}, {"patient_id": "P2"}], others=_SHARED)
strongest_tie.quiet(0, window=[{"patient_id": "P1"}, {"patient_id": "P2"}])


@signal(
    entity="provider",
    title={"en": "Concentration of shared patients", "zh": "共享患者集中度"},
    says={
        "en": "Shared patients lie with few other providers: index {value:.2f} of 1 (peers: {peer_median:.2f}).",
        "zh": "共享患者集中于少数机构:集中指数{value:.2f}(上限1;同类机构中位数{peer_median:.2f})。",
    },
    unit="index",
    riskier="high",
    high=1,
    peer=True,
    violation="T26",
    cites=["fraud-auditor", "collusion-graph-case"],
    excuses=_REFERRAL,
)
def tie_concentration(network):
    """Herfindahl index of shared patients over the other providers that share them.

    Blind spot: providers with few shared patients have a high index by chance.

    释义:共有患者在其他机构间分布的赫芬达尔指数。
    盲区:共有患者少的机构指数偶然偏高。
    """
    ties = network.shared_patients.sum()
    return ratio((network.shared_patients * network.shared_patients).sum(), ties * ties)


tie_concentration.fires(1, window=[{"patient_id": "P1"}, {"patient_id": "P2"}], others=_SHARED)
tie_concentration.quiet(
    0.5,
    window=[{"patient_id": "P1"}, {"patient_id": "P2"}],
    others=[{"patient_id": "P1", "provider_id": "H2"}, {"patient_id": "P2", "provider_id": "H3"}],
)


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
    title={"en": "Patients with no other physician", "zh": "仅由该医师接诊的患者占比"},
    says={
        "en": "{value:.0%} of the patients had no other physician in the window (peers: {peer_median:.0%}).",
        "zh": "{value:.0%}的患者观察期内未由其他医师接诊(同专业中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T25",
    cites=["fraud-auditor", "decree-735.40.1"],
    excuses={"en": "A family doctor.", "zh": "家庭医生。"},
)
def physician_captive_share(by_patient):
    """Share of the physician's patients without a claim under any other physician in the same window.

    Blind spot: claims that name no physician.

    释义:同一窗口内未由其他医师接诊的本医师患者占比。
    盲区:未记录医师的结算单。
    """
    return (by_patient.claims_elsewhere == 0).mean()


physician_captive_share.fires(1, window={"patient_id": "P#", "times": 4})
physician_captive_share.quiet(0, window={"patient_id": "P1"}, others={"patient_id": "P1", "physician_id": "D2"})


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
