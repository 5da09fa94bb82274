"""Whether those who give the care may give it."""

from datetime import date

from fraud.signals import ratio, signal


def _told(window):
    """Claims of physicians of whom a licence or a suspension is registered."""
    return window.physician_licensed_from.notnull() | window.physician_suspended_from.notnull()


def _claims(window):
    return window.count(where=_told(window))


@signal(
    title={"en": "Services by barred staff", "zh": "无资格或暂停人员服务占比"},
    says={
        "en": "{value:.1%} of the claims name a physician who had no licence or was suspended "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单所记医师当时无有效执业资格或处于暂停期(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    version=2,
    riskier="high",
    high=1,
    peer=True,
    total=_claims,
    violation="T29",
    severity="serious",
    cites=["points-2024", "decree-735.38"],
    excuses={
        "en": "A licence that was renewed, or a suspension that was lifted, and entered late.",
        "zh": "资格已续期或暂停已解除,系统登记滞后。",
    },
)
def barred_staff_share(window):
    """Share of the claims whose physician had no licence, or was suspended, on the day they began.

    Claims of physicians of whom either is registered count. Blind spot: names that are lent.

    释义:开始当日医师无有效执业资格或处于暂停期的结算单占比。
    盲区:借用的名义。
    """
    day = window.admission_day
    unlicensed = (window.physician_licensed_to < day) | (window.physician_licensed_from > day)
    lifted = (window.physician_suspended_to < day).fill_null(False)
    suspended = (window.physician_suspended_from <= day) & ~lifted
    barred = unlicensed.fill_null(False) | suspended.fill_null(False)
    return ratio(window.count(where=_told(window) & barred), _claims(window))


_LICENCE = {"physician_id": "D", "licensed_from": date(2000, 1, 1), "licensed_to": date(2024, 5, 1)}
_LICENSED = {"physician_id": "E", "licensed_from": date(2000, 1, 1)}
_OUT = {"physician_id": "D", "suspended_from": date(2024, 1, 1)}
barred_staff_share.fires(0.5, window=[{"days_ago": 10}, {"days_ago": 90}], physicians=_LICENCE)
barred_staff_share.fires(0.5, window=[{}, {"physician_id": "E"}], physicians=[_OUT, _LICENSED])
barred_staff_share.quiet(0, window={"days_ago": 90}, physicians=_LICENCE)
barred_staff_share.quiet(0, window={}, physicians={**_OUT, "suspended_to": date(2024, 2, 1)})
barred_staff_share.quiet(None, window={})
