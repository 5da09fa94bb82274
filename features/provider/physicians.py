"""How a provider's claims spread over its physicians."""

from fraud.signals import ratio, signal

_ONE = {"en": "A small practice with one physician.", "zh": "仅有一名医师的小型机构。"}


@signal(
    title={"en": "Claims for each physician", "zh": "医师人均结算单数"},
    says={
        "en": "A physician is in charge of {value:.1f} claims on average (peers: {peer_median:.1f}).",
        "zh": "医师人均负责{value:.1f}张结算单(同类机构中位数{peer_median:.1f}张)。",
    },
    unit="claims",
    riskier="high",
    volume=True,
    peer=True,
    violation="T28",
    cites=["impossible-day", "decree-735.40.3"],
    excuses=_ONE,
)
def claims_per_physician(by_physician):
    """Mean claims of a physician in the window.

    Blind spot: claims signed by one physician for a whole team.

    释义:窗口内每名医师的平均结算单数。
    盲区:由一名医师代全组签署的结算单。
    """
    return by_physician.claims.mean()


claims_per_physician.fires(4, window={"times": 4})
claims_per_physician.quiet(1, window={"physician_id": "D#", "times": 4})


@signal(
    title={"en": "Concentration on few physicians", "zh": "医师集中度"},
    says={
        "en": "Two claims picked at random have the same physician with a chance of {value:.1%} "
        "(peers: {peer_median:.1%}).",
        "zh": "随机两张结算单由同一医师负责的概率为{value:.1%}(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T06",
    cites=["decree-735.40.3", "phantom-visit-case"],
    excuses=_ONE,
)
def physician_concentration(by_physician):
    """Chance that two claims of the window have the same physician (unbiased Herfindahl index).

    Blind spot: names that are rotated on paper.

    释义:窗口内任取两张结算单医师相同的概率(无偏赫芬达尔指数)。
    盲区:纸面上轮换的姓名。
    """
    claims = by_physician.claims.sum()
    return ratio((by_physician.claims * (by_physician.claims - 1)).sum(), claims * (claims - 1))


physician_concentration.fires(1, window={"times": 4})
physician_concentration.quiet(0, window={"physician_id": "D#", "times": 4})
physician_concentration.quiet(None, window={})


@signal(
    title={"en": "Claims by physicians who also work elsewhere", "zh": "多点执业医师结算占比"},
    says={
        "en": "{value:.1%} of the claims name a physician who also bills elsewhere (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单由同时在其他机构结算的医师负责(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T29",
    cites=["decree-735.38", "points-2024"],
    excuses={"en": "Registered multi-site practice.", "zh": "依法备案的多点执业。"},
)
def shared_physician_share(by_physician):
    """Share of claims, among those that name a physician, whose physician has claims at another provider.

    Blind spot: a physician who lends the name but bills nowhere else.

    释义:记有医师的结算单中,医师也在其他机构结算的占比。
    盲区:只借出姓名而不在他处结算的医师。
    """
    elsewhere = by_physician.claims_elsewhere > 0
    return ratio(by_physician.claims.sum(where=elsewhere).fill_null(0), by_physician.claims.sum())


shared_physician_share.fires(1, window={"times": 2}, others={"physician_id": "D", "provider_id": "H2"})
shared_physician_share.quiet(0, window={"times": 2})
