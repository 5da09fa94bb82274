"""How often a physician's claims are made without the right to make them."""

from datetime import date

from fraud.signals import ratio, share, signal


def _claims(window_signals):
    return window_signals.count()


@signal(
    title={"en": "Services while suspended", "zh": "暂停期间服务占比"},
    says={
        "en": "{value:.1%} of the claims were made while the physician or the house was suspended (peers: "
        "{peer_median:.1%}).",
        "zh": "{value:.1%}的结算单发生于该医师或其机构暂停期间(同专业中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T29",
    cites=["points-2024"],
    excuses={"en": "A suspension that was lifted and not yet entered.", "zh": "暂停已解除但未更新。"},
)
def barred_share(window_signals):
    """Share of the claims made while the physician or the house was under suspension.

    Blind spot: names that are lent.

    释义:医师或机构处于暂停期的结算单占比。
    盲区:借用的名义。
    """
    return share((window_signals.physician_suspended > 0) | (window_signals.provider_suspended > 0))


_OUT = {"physician_id": "D", "suspended_from": date(2024, 1, 1)}
barred_share.fires(0.5, window=[{}, {"days_ago": 300}], physicians=_OUT)
barred_share.quiet(0, window={}, physicians={**_OUT, "suspended_to": date(2024, 2, 1)})


def _admitted(window):
    return window.count(where=window.physician_licensed_from.notnull())


@signal(
    title={"en": "Services without a licence", "zh": "无有效资质期间服务占比"},
    says={
        "en": "{value:.1%} of the claims were made when the licence had ended or not begun (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单发生于执业资格有效期之外(同专业中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    total=_admitted,
    violation="T29",
    severity="serious",
    cites=["points-2024", "decree-735.38"],
    excuses={"en": "A licence that was renewed and entered late.", "zh": "资格已续期,系统登记滞后。"},
)
def unlicensed_share(window):
    """Share of the claims that began on a day without a licence.

    Claims of physicians whose licence is registered count. Blind spot: names that are lent.

    释义:开始当日医师无有效执业资格的结算单占比。
    盲区:借用的名义。
    """
    known = window.physician_licensed_from.notnull()
    ended = (window.physician_licensed_to < window.admission_day).fill_null(False)
    early = (window.physician_licensed_from > window.admission_day).fill_null(False)
    return ratio(window.count(where=known & (ended | early)), window.count(where=known))


_LICENCE = {"physician_id": "D", "licensed_from": date(2000, 1, 1), "licensed_to": date(2024, 5, 1)}
unlicensed_share.fires(0.5, window=[{"days_ago": 10}, {"days_ago": 90}], physicians=_LICENCE)
unlicensed_share.quiet(0, window={"days_ago": 90}, physicians=_LICENCE)
unlicensed_share.quiet(None, window={})
