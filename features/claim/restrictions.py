"""Items billed beyond what the catalogue allows: for whom, where, at which visit and for which disease."""

from datetime import date

from fraud.signals import signal

_LATE = {
    "en": "A catalogue that was changed after the day of care.",
    "zh": "目录在就诊日之后才作调整。",
}


def _is_drug(lines):
    return lines.category == "drug"


def _above_level(lines):
    """Whether the item is limited to a higher level of institution than the one that bills it."""
    level, limit = lines.claim_provider_level, lines.level_limit
    first = (limit == "primary") & (level == "other")
    second = (limit == "secondary") & level.isin(["primary", "other"])
    third = (limit == "tertiary") & level.isin(["secondary", "primary", "other"])
    return first | second | third


@signal(
    title={"en": "Drugs for the other sex", "zh": "与患者性别不符的药品数"},
    says={
        "en": "{value:.0f} billed drug(s) are meant for the other sex; {limit:.0f} is possible.",
        "zh": "{value:.0f}种收费药品与患者性别不符,应为{limit:.0f}种。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T05",
    kind="violation",
    severity="serious",
    national_code="GZ10000301004000",
    limit="sex_conflicts",
    cites=["decree-735.40.1", "national-rules-2023"],
    excuses={
        "en": "A wrong sex in the register, or a drug mapped to a wrong code.",
        "zh": "登记性别有误,或药品对码错误。",
    },
)
def drug_sex_conflicts(lines):
    """Lines of drugs that are limited to a sex that is not the patient's.

    Blind spot: drugs whose limit the catalogue does not state.

    释义:限定性别与患者不符的药品行数。
    盲区:目录未载明限定的药品。
    """
    return lines.count(where=_is_drug(lines) & (lines.sex_limit != lines.claim_patient_sex))


_MAN, _WOMAN = {"patient_id": "P", "sex": "male"}, {"patient_id": "P", "sex": "female"}
_HER_DRUG = {"item_code": "X", "category": "drug", "sex_limit": "female"}
drug_sex_conflicts.fires(1, lines=[{}], patients=_MAN, catalogue=_HER_DRUG)
drug_sex_conflicts.fires(2, lines=[{"times": 2}, {"item_code": "Y"}], patients=_MAN, catalogue=_HER_DRUG)
drug_sex_conflicts.fires(1, lines=[{}], patients=_WOMAN, catalogue={**_HER_DRUG, "sex_limit": "male"})
drug_sex_conflicts.quiet(0, lines=[{}], patients=_WOMAN, catalogue=_HER_DRUG)
drug_sex_conflicts.quiet(0, lines=[{}], patients=_MAN, catalogue={**_HER_DRUG, "category": "examination"})
drug_sex_conflicts.quiet(0, lines=[{}], catalogue=_HER_DRUG)


@signal(
    title={"en": "Drugs above the level of the institution", "zh": "超限定医疗机构级别的药品数"},
    says={
        "en": "{value:.0f} drug line(s) are paid only at institutions of a higher level; {limit:.0f} is allowed here.",
        "zh": "{value:.0f}行药品限更高级别医疗机构使用,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    kind="violation",
    national_code="GZ10000101012000",
    limit="restricted_lines",
    cites=["decree-735.38.6", "national-rules-2023"],
    excuses={
        "en": "A medical consortium whose primary members dispense what the hospital prescribed.",
        "zh": "医共体内基层成员单位延伸上级医院处方。",
    },
)
def drugs_above_level(lines):
    """Lines of drugs whose lowest level of institution is above the level of the one that bills.

    Pharmacies are left out: they dispense what others prescribe. Blind spot: a level that the register has wrong.

    释义:限定最低机构级别高于本机构级别的药品行数。
    盲区:登记有误的机构级别。
    """
    return lines.count(where=_is_drug(lines) & _above_level(lines) & (lines.claim_visit_type != "pharmacy"))


_TOWN, _TOP = {"provider_id": "H", "level": "primary"}, {"provider_id": "H", "level": "tertiary"}
_HIGH_DRUG = {"item_code": "X", "category": "drug", "level_limit": "secondary"}
drugs_above_level.fires(1, lines=[{}], providers=_TOWN, catalogue=_HIGH_DRUG)
drugs_above_level.fires(3, lines=[{"times": 3}], providers=_TOWN, catalogue={**_HIGH_DRUG, "level_limit": "tertiary"})
drugs_above_level.fires(
    1,
    lines=[{}],
    providers={"provider_id": "H", "level": "secondary"},
    catalogue={**_HIGH_DRUG, "level_limit": "tertiary"},
)
drugs_above_level.quiet(0, lines=[{}], providers=_TOP, catalogue=_HIGH_DRUG)
drugs_above_level.quiet(0, claim={"visit_type": "pharmacy"}, lines=[{}], providers=_TOWN, catalogue=_HIGH_DRUG)
drugs_above_level.quiet(0, lines=[{}], providers=_TOWN, catalogue={**_HIGH_DRUG, "level_limit": "primary"})


@signal(
    title={"en": "Services above the level of the institution", "zh": "超限定医疗机构级别的项目数"},
    says={
        "en": "{value:.0f} line(s) bill a service or consumable that is paid only at institutions of a higher level; "
        "{limit:.0f} is allowed here.",
        "zh": "{value:.0f}行诊疗项目或耗材限更高级别医疗机构使用,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    kind="violation",
    national_code="GZ10000102011000",
    limit="restricted_lines",
    cites=["decree-735.38.6", "national-rules-2023"],
    excuses={
        "en": "A visiting team from a higher hospital with its own licence for the service.",
        "zh": "上级医院派驻团队并已备案开展该项目。",
    },
)
def items_above_level(lines):
    """Lines of services and consumables whose lowest level of institution is above that of the one that bills.

    Blind spot: a level that the register has wrong.

    释义:限定最低机构级别高于本机构级别的诊疗项目与耗材行数。
    盲区:登记有误的机构级别。
    """
    return lines.count(where=~_is_drug(lines) & _above_level(lines))


_HIGH_ITEM = {"item_code": "X", "category": "surgery", "level_limit": "secondary"}
items_above_level.fires(1, lines=[{}], providers=_TOWN, catalogue=_HIGH_ITEM)
items_above_level.fires(2, lines=[{"times": 2}], providers=_TOWN, catalogue={**_HIGH_ITEM, "category": "consumable"})
items_above_level.fires(
    1,
    lines=[{}],
    providers={"provider_id": "H", "level": "other"},
    catalogue={**_HIGH_ITEM, "level_limit": "primary"},
)
items_above_level.quiet(0, lines=[{}], providers=_TOP, catalogue=_HIGH_ITEM)
items_above_level.quiet(0, lines=[{}], catalogue=_HIGH_ITEM)
items_above_level.quiet(0, lines=[{}], providers=_TOWN, catalogue={**_HIGH_ITEM, "category": "drug"})


@signal(
    title={"en": "Drugs not meant for this kind of visit", "zh": "超限定就医方式的药品数"},
    says={
        "en": "{value:.0f} drug line(s) are paid only at another kind of visit; {limit:.0f} is allowed.",
        "zh": "{value:.0f}行药品超出限定就医方式,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    kind="violation",
    limit="wrong_visit_lines",
    cites=["decree-735.38.6", "national-rules-2025"],
    excuses={
        "en": "Drugs of the stay that were settled on the day of discharge as a visit.",
        "zh": "住院用药在出院当日按门诊结算。",
    },
)
def wrong_visit_drugs(lines):
    """Lines of drugs that are limited to a kind of visit that this claim is not.

    Blind spot: drugs whose limit the catalogue does not state.

    释义:限定就医方式与本单不符的药品行数。
    盲区:目录未载明限定的药品。
    """
    return lines.count(where=_is_drug(lines) & (lines.visit_type_limit != lines.claim_visit_type))


_WARD_DRUG = {"item_code": "X", "category": "drug", "visit_type_limit": "inpatient"}
wrong_visit_drugs.fires(1, lines=[{}], catalogue=_WARD_DRUG)
wrong_visit_drugs.fires(2, claim={"visit_type": "pharmacy"}, lines=[{"times": 2}], catalogue=_WARD_DRUG)
wrong_visit_drugs.fires(
    1, claim={"visit_type": "inpatient"}, lines=[{}], catalogue={**_WARD_DRUG, "visit_type_limit": "outpatient"}
)
wrong_visit_drugs.quiet(0, claim={"visit_type": "inpatient"}, lines=[{}], catalogue=_WARD_DRUG)
wrong_visit_drugs.quiet(0, lines=[{"item_code": "Y"}], catalogue=_WARD_DRUG)
wrong_visit_drugs.quiet(0, lines=[{}], catalogue={**_WARD_DRUG, "category": "treatment"})


@signal(
    title={"en": "Children's drugs for older patients", "zh": "儿童限用药品用于超龄患者"},
    says={
        "en": "{value:.0f} drug line(s) are paid only for patients younger than this one; {limit:.0f} is allowed.",
        "zh": "{value:.0f}行药品限低龄患者使用,患者已超龄,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    kind="violation",
    national_code="GZ10000101007000",
    limit="age_conflicts",
    cites=["decree-735.38.6", "national-rules-2023"],
    excuses={"en": "A wrong date of birth in the register.", "zh": "登记出生日期有误。"},
)
def drugs_too_old_for(lines):
    """Lines of drugs whose highest age is below the patient's age in whole years at admission.

    Blind spot: limits in days or months, as for newborns.

    释义:患者入院时周岁超过药品限定最高年龄的明细行数。
    盲区:以天或月计的限定,如新生儿。
    """
    return lines.count(where=_is_drug(lines) & (lines.claim_age_years.floor() > lines.age_max))


_ADULT, _CHILD = (
    {"patient_id": "P", "birth_date": date(1980, 1, 1)},
    {"patient_id": "P", "birth_date": date(2018, 1, 1)},
)
_SYRUP = {"item_code": "X", "category": "drug", "age_max": 14}
drugs_too_old_for.fires(1, lines=[{}], patients=_ADULT, catalogue=_SYRUP)
drugs_too_old_for.fires(2, lines=[{"times": 2}], patients=_ADULT, catalogue=_SYRUP)
drugs_too_old_for.fires(1, lines=[{}], patients=_CHILD, catalogue={**_SYRUP, "age_max": 0})
drugs_too_old_for.quiet(0, lines=[{}], patients=_CHILD, catalogue=_SYRUP)
drugs_too_old_for.quiet(0, lines=[{}], patients=_ADULT, catalogue={**_SYRUP, "category": "therapy"})
drugs_too_old_for.quiet(0, lines=[{}], catalogue=_SYRUP)


@signal(
    title={"en": "Adults' drugs for younger patients", "zh": "儿童禁用药品用于低龄患者"},
    says={
        "en": "{value:.0f} drug line(s) may not be given to patients as young as this one; {limit:.0f} is allowed.",
        "zh": "{value:.0f}行药品不得用于该年龄段患者,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    kind="violation",
    national_code="GZ10000301003000",
    limit="age_conflicts",
    cites=["decree-735.38.6", "national-rules-2023"],
    excuses={
        "en": "A wrong date of birth, or a rare disease treated off label with consent.",
        "zh": "登记出生日期有误,或罕见病经知情同意的超说明书用药。",
    },
)
def drugs_too_young_for(lines):
    """Lines of drugs whose lowest age is above the patient's age in whole years at admission.

    Blind spot: limits in days or months.

    释义:患者入院时周岁低于药品限定最低年龄的明细行数。
    盲区:以天或月计的限定。
    """
    return lines.count(where=_is_drug(lines) & (lines.claim_age_years.floor() < lines.age_min))


_PILL = {"item_code": "X", "category": "drug", "age_min": 18}
drugs_too_young_for.fires(1, lines=[{}], patients=_CHILD, catalogue=_PILL)
drugs_too_young_for.fires(3, lines=[{"times": 3}], patients=_CHILD, catalogue={**_PILL, "age_min": 7})
drugs_too_young_for.fires(
    1, lines=[{}, {"item_code": "Y"}], patients=_CHILD, catalogue=[_PILL, {"item_code": "Y", "category": "drug"}]
)
drugs_too_young_for.quiet(0, lines=[{}], patients=_ADULT, catalogue=_PILL)
drugs_too_young_for.quiet(0, lines=[{}], patients=_CHILD, catalogue={**_PILL, "age_min": 6})
drugs_too_young_for.quiet(0, lines=[{}], patients=_CHILD, catalogue={**_PILL, "category": "surgery"})


@signal(
    title={"en": "Drugs without a paid indication", "zh": "超限定适应症的药品数"},
    says={
        "en": "{value:.0f} drug line(s) are paid only for diseases that the claim does not list; {limit:.0f} is usual.",
        "zh": "{value:.0f}行药品限特定适应症支付,本单诊断中未见,通常为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    national_code="GZ10000101008000",
    limit="unindicated_lines",
    cites=["decree-735.38.6", "national-rules-2023"],
    excuses={
        "en": "A disease that the record names and the claim does not list.",
        "zh": "病历中有相应诊断,结算单未列全。",
    },
)
def drugs_without_indication(lines):
    """Lines of drugs that are paid for certain diseases only, none of which is among the claim's diagnoses.

    Blind spot: a diagnosis written down to fit the drug.

    释义:限定疾病支付、而诊断中无一符合的药品行数。
    盲区:为配合药品而填写的诊断。
    """
    return lines.count(where=_is_drug(lines) & ~lines.indicated)


_FOR_DIABETES = {"item_code": "X", "category": "drug", "indications": ["E10", "E11"]}
drugs_without_indication.fires(1, lines=[{}], diagnoses=["I10"], catalogue=_FOR_DIABETES)
drugs_without_indication.fires(3, lines=[{"times": 3}], diagnoses=["I10"], catalogue=_FOR_DIABETES)
drugs_without_indication.fires(1, lines=[{}], diagnoses=["I10", "J189"], catalogue=_FOR_DIABETES)
drugs_without_indication.quiet(0, lines=[{}], diagnoses=["I10", "E119"], catalogue=_FOR_DIABETES)
drugs_without_indication.quiet(0, lines=[{}], catalogue=_FOR_DIABETES)
drugs_without_indication.quiet(0, lines=[{}], diagnoses=["I10"], catalogue={"item_code": "X", "category": "drug"})


@signal(
    title={"en": "Services without a paid indication", "zh": "超限定适应症的诊疗项目数"},
    says={
        "en": "{value:.0f} line(s) bill a service that is paid only for diseases that the claim does not list; "
        "{limit:.0f} is usual.",
        "zh": "{value:.0f}行诊疗项目限特定适应症支付,本单诊断中未见,通常为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    national_code="GZ10000102007000",
    limit="unindicated_lines",
    cites=["decree-735.38.6", "decree-735.38.2", "national-rules-2023"],
    excuses={
        "en": "A disease that was suspected, looked for and not found.",
        "zh": "为排除可疑疾病而进行,结果未证实。",
    },
)
def items_without_indication(lines):
    """Lines of services that are paid for certain diseases only, none of which is among the claim's diagnoses.

    Blind spot: a diagnosis written down to fit the service.

    释义:限定疾病支付、而诊断中无一符合的诊疗项目行数。
    盲区:为配合项目而填写的诊断。
    """
    return lines.count(where=~lines.category.isin(["drug", "consumable"]) & ~lines.indicated)


_FOR_KIDNEY = {"item_code": "X", "category": "treatment", "indications": ["N18"]}
items_without_indication.fires(2, lines=[{"times": 2}], diagnoses=["I10"], catalogue=_FOR_KIDNEY)
items_without_indication.fires(1, lines=[{}], diagnoses=["E119"], catalogue=_FOR_KIDNEY)
items_without_indication.fires(3, lines=[{"times": 3}], diagnoses=["I10", "J189"], catalogue=_FOR_KIDNEY)
items_without_indication.quiet(0, lines=[{}], diagnoses=["N185"], catalogue=_FOR_KIDNEY)
items_without_indication.quiet(0, lines=[{}], diagnoses=["I10"], catalogue={**_FOR_KIDNEY, "category": "drug"})
items_without_indication.quiet(0, lines=[{}], diagnoses=["I10"], catalogue={**_FOR_KIDNEY, "indications": None})


@signal(
    title={"en": "Consumables without a paid indication", "zh": "超限定疾病的医用耗材数"},
    says={
        "en": "{value:.0f} line(s) bill a consumable that is paid only for diseases that the claim does not list; "
        "{limit:.0f} is usual.",
        "zh": "{value:.0f}行医用耗材限特定疾病使用,本单诊断中未见,通常为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T19",
    limit="unindicated_lines",
    cites=["decree-735.38.6", "national-rules-2025"],
    excuses={
        "en": "A disease that the record names and the claim does not list.",
        "zh": "病历中有相应诊断,结算单未列全。",
    },
)
def consumables_without_indication(lines):
    """Lines of consumables that are paid for certain diseases only, none of which is among the diagnoses.

    Blind spot: consumables whose diseases the catalogue does not state.

    释义:限定疾病支付、而诊断中无一符合的耗材行数。
    盲区:目录未载明限定疾病的耗材。
    """
    return lines.count(where=(lines.category == "consumable") & ~lines.indicated)


_STENT = {"item_code": "X", "category": "consumable", "indications": ["I21", "I25"]}
consumables_without_indication.fires(1, lines=[{}], diagnoses=["J189"], catalogue=_STENT)
consumables_without_indication.fires(2, lines=[{"times": 2}], diagnoses=["J189"], catalogue=_STENT)
consumables_without_indication.fires(1, lines=[{}], diagnoses=["I10", "E119"], catalogue=_STENT)
consumables_without_indication.quiet(0, lines=[{}], diagnoses=["I219"], catalogue=_STENT)
consumables_without_indication.quiet(0, lines=[{}], diagnoses=["J189"], catalogue={**_STENT, "category": "surgery"})
consumables_without_indication.quiet(0, lines=[{}], diagnoses=["J189"], catalogue={**_STENT, "indications": None})


@signal(
    title={"en": "Fund share of items outside the scope", "zh": "基金支付目录外费用金额"},
    says={
        "en": "The fund is asked for {value:,.2f} more than the items within its scope add up to; {limit:,.2f} is "
        "allowed for rounding.",
        "zh": "基金支付超出目录内费用合计{value:,.2f}元,允许的尾差为{limit:,.2f}元。",
    },
    unit="money",
    riskier="high",
    default=0,
    violation="T19",
    kind="violation",
    severity="serious",
    limit="rounding",
    cites=["decree-735.38.6", "national-rules-2023"],
    excuses=_LATE,
)
def paid_outside_scope(claim, lines):
    """Amount asked of the fund beyond the total less the lines of class C, at least 0, in the payer's currency.

    Blind spot: items outside the scope that were billed under a code within it.

    释义:申请基金支付金额超过总费用减丙类明细的部分,最低为0。
    盲区:以范围内编码收取的范围外项目。
    """
    outside = lines.amount.sum(where=lines.item_class == "C")
    beyond = claim.fund_amount - (claim.total_amount - outside)
    return (beyond > 0).ifelse(beyond, 0)


_OUTSIDE = {"item_code": "X", "category": "drug", "class": "C"}
paid_outside_scope.fires(200, lines=[{"unit_price": 500.0}], catalogue=_OUTSIDE)
paid_outside_scope.fires(
    700, lines=[{"unit_price": 1000.0}], catalogue={**_OUTSIDE, "category": "treatment"}, claim={"fund_amount": 700.0}
)
paid_outside_scope.fires(100, lines=[{"unit_price": 200.0, "times": 2}], catalogue=_OUTSIDE)
paid_outside_scope.quiet(0, lines=[{"unit_price": 300.0}], catalogue=_OUTSIDE)
paid_outside_scope.quiet(0, lines=[{"unit_price": 500.0}], catalogue={**_OUTSIDE, "class": "B"})
paid_outside_scope.quiet(0, claim={"fund_amount": 0.0}, lines=[{"unit_price": 1000.0}], catalogue=_OUTSIDE)
