"""Physicians who certify chronic entitlements that no course of illness supports."""

from fraud.signals import days_between, ratio, signal

_NEW = {
    "en": "A certifying specialist to whom family doctors send their patients.",
    "zh": "承担慢特病认定的专科医师,患者由基层转来。",
}


def _entitled(window):
    return window.patient_id.nunique(where=window.visit_type == "chronic")


@signal(
    title={"en": "Entitlements without a course", "zh": "无既往病程即享慢特病待遇的占比"},
    says={
        "en": "{value:.1%} of the patients with an entitlement visit had never been seen with that disease before "
        "(peers: {peer_median:.1%}).",
        "zh": "享受慢特病待遇的患者中,{value:.1%}此前从无该病种就诊记录(同专业中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    total=_entitled,
    violation="T37",
    severity="serious",
    cites=["decree-735.40.2", "decree-735.40.1"],
    excuses=_NEW,
)
def entitlement_without_course_share(window, limits):
    """Share of patients of chronic-entitlement visits whose first claim with the ICD category is such a visit here.

    Only patients whom the payer has known for at least `known_patient_days` count as never seen with it.
    Blind spot: illness treated before the data begin, or paid by another payer.

    释义:慢特病待遇患者中,该ICD类目首次结算即为本处慢特病就诊的占比。
    盲区:数据起始前的治疗,或由其他支付方支付的治疗。
    """
    chronic = window.visit_type == "chronic"
    first = window.settled_at == window.disease_first_at
    known = days_between(window.settled_at, window.patient_first_at) >= limits.known_patient_days
    return ratio(window.patient_id.nunique(where=chronic & first & known), window.patient_id.nunique(where=chronic))


_CHRONIC = {"visit_type": "chronic", "primary_diagnosis": "E11"}
_EARLIER = {"patient_id": "P", "primary_diagnosis": "J06", "days_ago": 300}
entitlement_without_course_share.fires(1, window=_CHRONIC, others=_EARLIER)
entitlement_without_course_share.quiet(
    0, window=_CHRONIC, others=[_EARLIER, {**_EARLIER, "primary_diagnosis": "E119", "days_ago": 200}]
)
entitlement_without_course_share.quiet(0, window=_CHRONIC)
entitlement_without_course_share.quiet(None, window={})


@signal(
    title={"en": "Patients with entitlements", "zh": "慢特病待遇患者数"},
    says={
        "en": "{value:,.0f} patients have entitlement visits with this physician (peers: {peer_median:,.0f}).",
        "zh": "该医师名下有{value:,.0f}名慢特病待遇患者(同专业中位数{peer_median:,.0f}名)。",
    },
    unit="patients",
    riskier="high",
    default=0,
    volume=True,
    peer=True,
    violation="T37",
    cites=["decree-735.40.2"],
    excuses=_NEW,
)
def entitled_patients(window):
    """Different patients of the chronic-entitlement visits in the window.

    Blind spot: grows with the number of patients.

    释义:窗口内慢特病待遇就诊的不同患者数。
    盲区:随患者数增长。
    """
    return window.patient_id.nunique(where=window.visit_type == "chronic")


entitled_patients.fires(30, window={**_CHRONIC, "patient_id": "P#", "times": 30})
entitled_patients.quiet(0, window={"times": 30})
