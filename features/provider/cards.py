"""How cards are swiped, and how claims are handed in."""

from fraud.signals import ratio, share, signal


def _claims(window):
    return window.count()


@signal(
    title={"en": "Second claims of a patient on one day", "zh": "同卡同日多次结算占比"},
    says={
        "en": "{value:.1%} of the claims are a second or later one of the same patient on the same day "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单为同一参保人同日第二次及以后的结算(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T24",
    cites=["decree-735.38.5", "decree-735.40.1", "cash-out-case"],
    excuses={
        "en": "Two departments in one visit, or a forgotten item.",
        "zh": "一次来院就诊多个科室,或补开遗漏项目。",
    },
)
def repeated_card_share(window):
    """One less the number of different patients and days over the claims of the window.

    Blind spot: cards that are swiped on days in turn.

    释义:一减去窗口内不同患者与日期组合数除以结算单数。
    盲区:隔日轮流刷用的医保卡。
    """
    visits = (window.patient_id + "|" + window.admission_day.cast("string")).nunique()
    return 1 - ratio(visits, window.count())


repeated_card_share.fires(0.75, window={"times": 4})
repeated_card_share.quiet(0, window=[{}, {"days_ago": 31}])


@signal(
    title={"en": "Claims handed in by hand", "zh": "手工报销占比"},
    says={
        "en": "{value:.1%} of the claims for care here were handed in by hand, though direct settlement is possible "
        "(peers: {peer_median:.1%}).",
        "zh": "本机构可直接结算,仍有{value:.1%}的结算单为手工报销(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T22",
    cites=["project-document-002", "forged-invoice-case", "decree-735.40.2"],
    excuses={
        "en": "A provider that joined direct settlement only lately, or an outage of the line.",
        "zh": "新近开通直接结算,或网络故障期间。",
    },
)
def manual_share(window):
    """Share of the claims of the window that were settled from paper instead of directly.

    Blind spot: forged papers of providers that never settle directly.

    释义:窗口内凭纸质材料手工结算而非直接结算的结算单占比。
    盲区:从不直接结算的机构的伪造票据。
    """
    return share(window.settlement_channel == "manual")


manual_share.fires(0.5, window=[{"settlement_channel": "manual"}, {"settlement_channel": "direct"}])
manual_share.quiet(0, window={"settlement_channel": "direct", "times": 2})
