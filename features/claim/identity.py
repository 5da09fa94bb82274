"""Who was treated: the person's identity, sex and age beside what is billed."""

from datetime import date, datetime

from fraud.signals import signal


@signal(
    title={"en": "Failed identity check", "zh": "身份核验未通过"},
    says={
        "en": "The identity check at the desk failed (1 yes, 0 no): {value:.0f}, should be {limit:.0f}.",
        "zh": "就诊身份核验未通过(1是,0否):{value:.0f},应为{limit:.0f}。",
    },
    unit="yes (1) or no (0)",
    riskier="high",
    default=0,
    high=1,
    violation="T05",
    severity="serious",
    limit="failed_identity_checks",
    cites=["decree-735.40.1", "decree-735.41"],
    excuses={"en": "A fault of the camera or the card reader.", "zh": "读卡或人脸识别设备故障。"},
)
def failed_identity_check(claim):
    """1 when the identity check failed, else 0; an absent check counts as 0.

    Blind spot: a helper who passes the check and hands the card over.
    """
    return (claim.identity_check == "fail").cast("int64")


failed_identity_check.fires(1, claim={"identity_check": "fail"})
failed_identity_check.quiet(0, claim={"identity_check": "pass"})


@signal(
    title={"en": "Not registered", "zh": "未挂号登记"},
    says={
        "en": "The visit is known not to have been registered at the desk (1 yes, 0 no): {value:.0f}.",
        "zh": "本次就诊未经挂号登记(1是,0否):{value:.0f}。",
    },
    unit="yes (1) or no (0)",
    riskier="high",
    default=0,
    high=1,
    violation="T06",
    cites=["decree-735.40.1", "phantom-visit-case"],
    excuses={
        "en": "A register that was down, or a village clinic without one.",
        "zh": "挂号系统故障,或村级机构无挂号环节。",
    },
)
def unregistered(claim):
    """1 when the visit is known not to have been registered, else 0.

    Blind spot: registrations made afterwards.
    """
    return (~claim.registered).cast("int64")


unregistered.fires(1, claim={"registered": False})
unregistered.quiet(0, claim={"registered": True})


@signal(
    title={"en": "Settled without registration and order", "zh": "无挂号且无医嘱结算"},
    says={
        "en": "The visit was settled with neither a registration nor any order (1 yes, 0 no): {value:.0f}; {limit:.0f} "
        "is required.",
        "zh": "既无挂号又无医嘱即结算(1是,0否):{value:.0f},应为{limit:.0f}。",
    },
    unit="yes (1) or no (0)",
    riskier="high",
    default=0,
    high=1,
    violation="T06",
    severity="serious",
    limit="phantom_visits",
    cites=["decree-735.40.1", "decree-735.40.3", "phantom-visit-case"],
    excuses={"en": "Orders and register kept on paper.", "zh": "挂号与医嘱均为纸质记录。"},
)
def unregistered_without_order(claim, lines):
    """1 when the visit is known not to have been registered and none of its lines was ordered, else 0.

    Blind spot: orders written afterwards.
    """
    ordered = lines.count(where=lines.ordered_at.notnull())
    return (~claim.registered & (lines.count() > 0) & (ordered == 0)).cast("int64")


unregistered_without_order.fires(1, claim={"registered": False}, lines=[{}])
unregistered_without_order.quiet(0, claim={"registered": False}, lines=[{"ordered_at": datetime(2024, 6, 12)}, {}])
unregistered_without_order.quiet(0, claim={"registered": True}, lines=[{}])


@signal(
    title={"en": "Items for the other sex", "zh": "与患者性别不符的项目数"},
    says={
        "en": "{value:.0f} billed item(s) are meant for the other sex; {limit:.0f} is possible.",
        "zh": "{value:.0f}项收费项目与患者性别不符,应为{limit:.0f}项。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T05",
    kind="violation",
    severity="serious",
    national_code="GZ10000302004000",
    limit="sex_conflicts",
    cites=["decree-735.40.1", "national-rules-2023"],
    excuses={
        "en": "A wrong sex in the register, or an item mapped to a wrong code.",
        "zh": "登记性别有误,或项目对码错误。",
    },
)
def sex_conflicts(lines):
    """Lines whose item is limited to a sex that is not the patient's.

    Blind spot: items whose limit the catalogue does not state.
    """
    return lines.count(where=lines.sex_limit != lines.claim_patient_sex)


_MAN = {"patient_id": "P", "sex": "male"}
sex_conflicts.fires(
    1,
    lines=[{"item_code": "X"}, {"item_code": "Y"}],
    patients=_MAN,
    catalogue=[{"item_code": "X", "sex_limit": "female"}, {"item_code": "Y"}],
)
sex_conflicts.quiet(0, lines=[{}], patients=_MAN, catalogue={"item_code": "X", "sex_limit": "male"})


@signal(
    title={"en": "Items for older patients", "zh": "低于项目限定年龄的项目数"},
    says={
        "en": "{value:.0f} billed item(s) are meant for patients older than this one; {limit:.0f} is allowed.",
        "zh": "{value:.0f}项收费项目限定年龄高于患者年龄,应为{limit:.0f}项。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    kind="violation",
    limit="age_conflicts",
    cites=["decree-735.38.6", "national-rules-2025"],
    excuses={"en": "A wrong date of birth in the register.", "zh": "登记出生日期有误。"},
)
def too_young_for(lines):
    """Lines whose item has a lowest age above the patient's age in whole years at admission.

    Blind spot: limits in months.
    """
    return lines.count(where=lines.claim_age_years.floor() < lines.age_min)


_CHILD = {"patient_id": "P", "birth_date": date(2018, 1, 1)}
too_young_for.fires(1, lines=[{}], patients=_CHILD, catalogue={"item_code": "X", "age_min": 18})
too_young_for.quiet(0, lines=[{}], patients=_CHILD, catalogue={"item_code": "X", "age_min": 6})


@signal(
    title={"en": "Items for children", "zh": "超过项目限定年龄的项目数"},
    says={
        "en": "{value:.0f} billed item(s) are meant for patients younger than this one; {limit:.0f} is allowed.",
        "zh": "{value:.0f}项收费项目限定年龄低于患者年龄,应为{limit:.0f}项。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    kind="violation",
    national_code="GZ10000102006000",
    limit="age_conflicts",
    cites=["decree-735.38.6", "national-rules-2023"],
    excuses={"en": "A wrong date of birth in the register.", "zh": "登记出生日期有误。"},
)
def too_old_for(lines):
    """Lines whose item has a highest age below the patient's age in whole years at admission.

    Blind spot: limits in months.
    """
    return lines.count(where=lines.claim_age_years.floor() > lines.age_max)


_ADULT = {"patient_id": "P", "birth_date": date(1980, 1, 1)}
too_old_for.fires(1, lines=[{}], patients=_ADULT, catalogue={"item_code": "X", "age_max": 14})
too_old_for.quiet(0, lines=[{}], patients=_CHILD, catalogue={"item_code": "X", "age_max": 14})
