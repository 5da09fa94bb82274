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

    释义:身份核验未通过的为1,否则为0;未核验计0。
    盲区:本人通过核验后把卡交给他人。
    """
    return (claim.identity_check == "fail").cast("int64")


failed_identity_check.fires(1, claim={"identity_check": "fail"})
failed_identity_check.fires(1, claim={"identity_check": "fail", "visit_type": "pharmacy"})
failed_identity_check.fires(1, claim={"identity_check": "fail", "visit_type": "inpatient", "stay_days": 3})
failed_identity_check.quiet(0, claim={"identity_check": "pass"})
failed_identity_check.quiet(0, claim={"identity_check": "absent"})
failed_identity_check.quiet(0)


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

    释义:已知未挂号的为1,否则为0。
    盲区:事后补挂的号。
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

    释义:已知未挂号且明细均无医嘱的为1,否则为0。
    盲区:事后补开的医嘱。
    """
    ordered = lines.count(where=lines.ordered_at.notnull())
    return (~claim.registered & (lines.count() > 0) & (ordered == 0)).cast("int64")


unregistered_without_order.fires(1, claim={"registered": False}, lines=[{}])
unregistered_without_order.fires(1, claim={"registered": False, "physician_id": None}, lines=[{"times": 3}])
# Executed, but nobody ordered it.
unregistered_without_order.fires(1, claim={"registered": False}, lines=[{"executed_at": datetime(2024, 6, 12, 9, 10)}])
unregistered_without_order.quiet(0, lines=[{}])
unregistered_without_order.quiet(0, claim={"registered": False})
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
    version=2,
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
    """Lines of services and consumables that are limited to a sex that is not the patient's.

    Drugs have a rule of their own, `claim.drug_sex_conflicts`. Blind spot: items whose limit the catalogue does
    not state.

    释义:限定性别与患者不符的诊疗项目与耗材行数。
    盲区:目录未载明限定的项目。
    """
    return lines.count(where=(lines.category != "drug") & (lines.sex_limit != lines.claim_patient_sex))


_MAN = {"patient_id": "P", "sex": "male"}
_HERS = {"item_code": "X", "category": "surgery", "sex_limit": "female"}
sex_conflicts.fires(
    1,
    lines=[{"item_code": "X"}, {"item_code": "Y"}],
    patients=_MAN,
    catalogue=[_HERS, {"item_code": "Y", "category": "surgery"}],
)
sex_conflicts.fires(2, lines=[{"times": 2}], patients=_MAN, catalogue=_HERS)
sex_conflicts.fires(
    1,
    lines=[{}],
    patients={"patient_id": "P", "sex": "female"},
    catalogue={**_HERS, "category": "consumable", "sex_limit": "male"},
)
sex_conflicts.quiet(0, lines=[{}], patients=_MAN, catalogue={**_HERS, "sex_limit": "male"})
sex_conflicts.quiet(0, lines=[{}], patients=_MAN, catalogue={**_HERS, "category": "drug"})
sex_conflicts.quiet(0, lines=[{}], catalogue=_HERS)


@signal(
    title={"en": "Items for older patients", "zh": "低于项目限定年龄的项目数"},
    says={
        "en": "{value:.0f} billed item(s) are meant for patients older than this one; {limit:.0f} is allowed.",
        "zh": "{value:.0f}项收费项目限定年龄高于患者年龄,应为{limit:.0f}项。",
    },
    unit="lines",
    riskier="high",
    default=0,
    version=2,
    violation="T19",
    kind="violation",
    limit="age_conflicts",
    cites=["decree-735.38.6", "national-rules-2025"],
    excuses={"en": "A wrong date of birth in the register.", "zh": "登记出生日期有误。"},
)
def too_young_for(lines):
    """Lines of services and consumables whose lowest age is above the patient's age in whole years at admission.

    Drugs have a rule of their own, `claim.drugs_too_young_for`. Blind spot: limits in months.

    释义:患者入院时周岁低于限定最低年龄的诊疗项目与耗材行数。
    盲区:以月计的限定。
    """
    return lines.count(where=(lines.category != "drug") & (lines.claim_age_years.floor() < lines.age_min))


_CHILD = {"patient_id": "P", "birth_date": date(2018, 1, 1)}
_FOR_ADULTS = {"item_code": "X", "category": "surgery", "age_min": 18}
too_young_for.fires(1, lines=[{}], patients=_CHILD, catalogue=_FOR_ADULTS)
too_young_for.fires(2, lines=[{"times": 2}], patients=_CHILD, catalogue={**_FOR_ADULTS, "category": "consumable"})
too_young_for.fires(1, lines=[{}, {"item_code": "Y"}], patients=_CHILD, catalogue={**_FOR_ADULTS, "age_min": 7})
too_young_for.quiet(0, lines=[{}], patients=_CHILD, catalogue={**_FOR_ADULTS, "age_min": 6})
too_young_for.quiet(0, lines=[{}], patients=_CHILD, catalogue={**_FOR_ADULTS, "category": "drug"})
too_young_for.quiet(0, lines=[{}], catalogue=_FOR_ADULTS)


@signal(
    title={"en": "Items for children", "zh": "超过项目限定年龄的项目数"},
    says={
        "en": "{value:.0f} billed item(s) are meant for patients younger than this one; {limit:.0f} is allowed.",
        "zh": "{value:.0f}项收费项目限定年龄低于患者年龄,应为{limit:.0f}项。",
    },
    unit="lines",
    riskier="high",
    default=0,
    version=2,
    violation="T19",
    kind="violation",
    national_code="GZ10000102006000",
    limit="age_conflicts",
    cites=["decree-735.38.6", "national-rules-2023"],
    excuses={"en": "A wrong date of birth in the register.", "zh": "登记出生日期有误。"},
)
def too_old_for(lines):
    """Lines of services and consumables whose highest age is below the patient's age in whole years at admission.

    Drugs have a rule of their own, `claim.drugs_too_old_for`. Blind spot: limits in days or months, as for newborns.

    释义:患者入院时周岁超过限定最高年龄的诊疗项目与耗材行数。
    盲区:以天或月计的限定,如新生儿。
    """
    return lines.count(where=(lines.category != "drug") & (lines.claim_age_years.floor() > lines.age_max))


_ADULT = {"patient_id": "P", "birth_date": date(1980, 1, 1)}
_FOR_CHILDREN = {"item_code": "X", "category": "examination", "age_max": 14}
too_old_for.fires(1, lines=[{}], patients=_ADULT, catalogue=_FOR_CHILDREN)
too_old_for.fires(2, lines=[{"times": 2}], patients=_ADULT, catalogue={**_FOR_CHILDREN, "category": "consumable"})
too_old_for.fires(1, lines=[{}], patients=_CHILD, catalogue={**_FOR_CHILDREN, "age_max": 0})
too_old_for.quiet(0, lines=[{}], patients=_CHILD, catalogue=_FOR_CHILDREN)
too_old_for.quiet(0, lines=[{}], patients=_ADULT, catalogue={**_FOR_CHILDREN, "category": "drug"})
too_old_for.quiet(0, lines=[{}], catalogue=_FOR_CHILDREN)


@signal(
    title={"en": "Visits without proof of identity", "zh": "近一年身份未核验次数"},
    says={
        "en": "Counting this one, identity was not proved at {value:.0f} of the patient's visits within a year.",
        "zh": "含本次在内,患者一年内有{value:.0f}次就诊未通过身份核验。",
    },
    unit="visits",
    riskier="high",
    default=0,
    violation="T05",
    cites=["decree-735.40.1", "decree-735.41"],
    excuses={
        "en": "A village without a card reader, or a helper who comes for the patient.",
        "zh": "村级机构无读卡设备,或由家属代办。",
    },
)
def unproved_identity(claim, past):
    """Visits of the patient within a year, this one included, whose identity check failed or is absent.

    0 when identity was proved this time. Blind spot: a card that is lent together with what proves who its owner is.

    释义:患者一年内(含本次)身份核验未通过或缺失的就诊次数。
    盲区:连同身份证明一并出借的医保卡。
    """
    this = (claim.identity_check != "pass").cast("int64")
    return this * (past.count(where=past.identity_check != "pass") + 1)


unproved_identity.fires(3, claim={"identity_check": "absent"}, past={"identity_check": "fail", "times": 2})
unproved_identity.quiet(0, claim={"identity_check": "pass"}, past={"identity_check": "fail", "times": 2})
