"""Whether one person alone uses the card."""

from datetime import date

from fraud.signals import ratio, signal

_DEVICE = {
    "en": "A village without a card reader, or a helper who comes for the patient.",
    "zh": "村级机构无读卡设备,或由家属代办。",
}


def _claims(window):
    return window.count()


@signal(
    title={"en": "Share of visits without proof of identity", "zh": "身份未核验就诊占比"},
    says={
        "en": "At {value:.0%} of the visits identity was not proved (peers: {peer_median:.0%}).",
        "zh": "{value:.0%}的就诊未通过身份核验(同类人群中位数{peer_median:.0%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T05",
    cites=["decree-735.40.1", "decree-735.41"],
    excuses=_DEVICE,
)
def unproved_identity_share(window):
    """Share of the person's claims whose identity check failed or is absent.

    Blind spot: a card that is lent together with what proves who its owner is.

    释义:个人结算单中身份核验未通过或缺失的占比。
    盲区:连同身份证明一并出借的医保卡。
    """
    return ratio(window.count(where=window.identity_check != "pass"), window.count())


unproved_identity_share.fires(0.5, window=[{"identity_check": "absent"}, {"identity_check": "pass"}])
unproved_identity_share.quiet(0, window={"identity_check": "pass", "times": 3})


@signal(
    title={"en": "Care for somebody of another sex or age", "zh": "与性别年龄不符的就诊次数"},
    says={
        "en": "{value:.0f} claim(s) of the person have diagnoses, drugs or services for another sex or age.",
        "zh": "参保人有{value:.0f}次就诊的诊断、药品或项目与其性别或年龄不符。",
    },
    unit="claims",
    riskier="high",
    default=0,
    volume=True,
    violation="T05",
    severity="serious",
    cites=["decree-735.40.1", "decree-735.41"],
    excuses={"en": "A wrong sex or date of birth in the register.", "zh": "登记性别或出生日期有误。"},
)
def impossible_claims(window_signals):
    """Claims of the person with a diagnosis, a drug or a service that is limited to another sex or age.

    Blind spot: a borrower of the same sex and about the same age.

    释义:个人结算单中有限定其他性别或年龄的诊断、药品或项目的张数。
    盲区:性别相同、年龄相近的冒用者。
    """
    diagnoses = (window_signals.diagnosis_sex_conflicts > 0) | (window_signals.diagnosis_age_conflicts > 0)
    items = (window_signals.sex_conflicts > 0) | (window_signals.drug_sex_conflicts > 0)
    return window_signals.count(where=diagnoses | items)


_MAN = {"patient_id": "P", "sex": "male", "birth_date": date(1980, 1, 1)}
_HERS = {"item_code": "X", "category": "surgery", "sex_limit": "female"}
impossible_claims.fires(2, window={"lines": [{"item_code": "X"}], "times": 2}, patients=_MAN, catalogue=_HERS)
impossible_claims.quiet(
    0, window={"lines": [{"item_code": "X"}]}, patients=_MAN, catalogue={**_HERS, "sex_limit": "male"}
)
