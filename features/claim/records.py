"""Records that contradict themselves: dates, sums and codes that cannot all be true."""

from datetime import date, datetime

from fraud.signals import days_between, signal


def _codes(letter, first, last):
    """ICD categories of one letter from one number to another."""
    return [f"{letter}{n:02d}" for n in range(first, last + 1)]


# ICD-10 chapters that only one sex can have; categories of ICD-9 are numbers and never match.
_HERS = (
    *_codes("C", 51, 58),
    "D06",
    *_codes("D", 25, 28),
    *_codes("N", 70, 77),
    *_codes("N", 80, 98),
    *_codes("O", 0, 99),
    *_codes("Z", 32, 37),
    "Z39",
)
_HIS = (*_codes("C", 60, 63), "D29", *_codes("N", 40, 51))
# ICD-9-CM-3: operations on the male organs, on the female organs, and at birth.
_HIS_OPERATIONS = ("60", "61", "62", "63", "64")
_HER_OPERATIONS = ("65", "66", "67", "68", "69", "70", "71", "72", "73", "74", "75")
_BIRTH_OPERATIONS = ("72", "73", "74", "75")
# Pregnancy in ICD-10 and in ICD-9.
_PREGNANCY = (*(f"O{n}" for n in range(10)), "Z3", "63", "64", "65", "66", "67", "V2")


def _category(diagnoses):
    return diagnoses.code.substr(0, 3)


def _one(condition):
    return condition.fill_null(False).cast("int64")


@signal(
    title={"en": "Contradictions in the settlement list", "zh": "结算清单信息矛盾数"},
    says={
        "en": "{value:.0f} of the claim's own dates and sums contradict each other; {limit:.0f} is possible.",
        "zh": "本单日期与金额有{value:.0f}处互相矛盾,应为{limit:.0f}处。",
    },
    unit="items",
    riskier="high",
    default=0,
    violation="T22",
    national_code="GZ10000201001000",
    limit="contradictions",
    cites=["national-rules-2023", "decree-735.40.2"],
    excuses={
        "en": "A slip at data entry: an error is not yet fraud.",
        "zh": "录入差错:数据错误不等于骗保。",
    },
)
def settlement_list_faults(claim, limits):
    """How many hold: discharge before admission, settled before admission, fund above the total, parts unequal to it.

    Blind spot: figures that are wrong and agree.

    释义:以下成立的项数:出院早于入院、结算早于入院、基金支付超过总额、各部分之和不等于总额。
    盲区:错误而彼此一致的数据。
    """
    dates = _one(claim.discharged_at < claim.admitted_at) + _one(claim.settled_at.date() < claim.admitted_at.date())
    apart = (claim.fund_amount + claim.self_amount - claim.total_amount).abs()
    return dates + _one(claim.fund_amount > claim.total_amount + limits.rounding) + _one(apart > limits.sum_rounding)


settlement_list_faults.fires(1, claim={"fund_amount": 1100.0})
settlement_list_faults.fires(1, claim={"fund_amount": 700.0, "self_amount": 200.0})
settlement_list_faults.fires(1, claim={"discharged_at": datetime(2024, 6, 10), "settled_at": datetime(2024, 6, 13)})
settlement_list_faults.quiet(0)
settlement_list_faults.quiet(0, claim={"fund_amount": 700.0, "self_amount": 300.0})
settlement_list_faults.quiet(0, claim={"visit_type": "inpatient", "stay_days": 3, "fund_amount": 1000.0})


@signal(
    title={"en": "Lines that do not add up", "zh": "数量、单价与金额不符的明细数"},
    says={
        "en": "In {value:.0f} line(s) quantity times price is not the amount; {limit:.0f} is possible.",
        "zh": "{value:.0f}行明细的数量乘单价不等于金额,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T22",
    national_code="GZ10000201002000",
    limit="contradictions",
    cites=["national-rules-2023", "decree-735.40.2"],
    excuses={"en": "A discount that was written into the amount only.", "zh": "折扣仅体现在金额中。"},
)
def line_faults(lines, limits):
    """Lines whose amount differs from quantity times unit price by more than rounding explains.

    Blind spot: quantity and amount raised together.

    释义:金额与数量乘单价之差超出四舍五入范围的明细行数。
    盲区:数量与金额同时虚增。
    """
    apart = (lines.quantity * lines.unit_price - lines.amount).abs()
    return lines.count(where=apart > limits.sum_rounding)


line_faults.fires(1, lines=[{"unit_price": 452.0, "amount": 5452.0}, {}])
line_faults.fires(1, lines=[{"quantity": 10.0, "unit_price": 5.0, "amount": 5.0}])
line_faults.fires(2, lines=[{"unit_price": 10.0, "amount": 100.0, "times": 2}])
line_faults.quiet(0, lines=[{"quantity": 3.0, "unit_price": 3.33, "amount": 10.0}])
line_faults.quiet(0, lines=[{"quantity": 2.0, "unit_price": 5.0}])
line_faults.quiet(0, lines=[{"quantity": 0.5, "unit_price": 9.0, "amount": 4.5}])


@signal(
    title={"en": "Diagnoses coded against the rules", "zh": "诊断编码异常数"},
    says={
        "en": "{value:.0f} diagnosis code(s) break the coding rules: a cause of injury in first place, or the first "
        "diagnosis again; {limit:.0f} is correct.",
        "zh": "{value:.0f}个诊断编码不合规则(损伤外因作主要诊断,或主要诊断重复填报),应为{limit:.0f}个。",
    },
    unit="codes",
    riskier="high",
    default=0,
    violation="T17",
    national_code="GZ10000201003000",
    limit="contradictions",
    cites=["national-rules-2023", "causes-35"],
    excuses={"en": "A form that copies the first diagnosis.", "zh": "系统模板自动重复主要诊断。"},
)
def diagnosis_faults(diagnoses):
    """Diagnoses in first place that are causes of injury (ICD-10 W to Y), and later ones that repeat the first.

    Blind spot: codes that are formed well and wrong.

    释义:以损伤外因(ICD-10 W至Y)为主诊断,及与主诊断重复的其他诊断数。
    盲区:格式正确而内容错误的编码。
    """
    cause = (diagnoses.position == 1) & diagnoses.code.substr(0, 1).isin(["W", "X", "Y"])
    again = (diagnoses.position > 1) & (diagnoses.code == diagnoses.claim_primary_diagnosis)
    return diagnoses.count(where=(diagnoses.kind.fill_null("discharge") == "discharge") & (cause | again))


diagnosis_faults.fires(1, claim={"primary_diagnosis": "W190"}, diagnoses=["W190", "S720"])
diagnosis_faults.fires(1, claim={"primary_diagnosis": "I10"}, diagnoses=["I10", "I10"])
diagnosis_faults.fires(2, claim={"primary_diagnosis": "X599"}, diagnoses=["X599", "X599"])
diagnosis_faults.quiet(0, claim={"primary_diagnosis": "S720"}, diagnoses=["S720", "W190"])
diagnosis_faults.quiet(0, claim={"primary_diagnosis": "I10"}, diagnoses=["I10", "E119"])
diagnosis_faults.quiet(0, claim={"primary_diagnosis": "S720"}, diagnoses=["S720", "S824", "V031"])


@signal(
    title={"en": "Procedures outside the stay", "zh": "手术操作日期不在住院期间"},
    says={
        "en": "{value:.0f} procedure(s) are dated outside the stay; {limit:.0f} is possible.",
        "zh": "{value:.0f}项手术操作的日期不在住院期间,应为{limit:.0f}项。",
    },
    unit="procedures",
    riskier="high",
    default=0,
    violation="T31",
    national_code="GZ10000201004000",
    limit="contradictions",
    cites=["decree-735.40.3", "national-rules-2023"],
    excuses={"en": "An emergency operation before the admission was written.", "zh": "急诊手术先于入院登记。"},
)
def procedures_outside_stay(procedures):
    """Procedures of an inpatient claim whose day lies before admission or after discharge.

    Blind spot: procedures without a date.

    释义:住院结算单中日期早于入院或晚于出院的手术操作数。
    盲区:没有日期的手术操作。
    """
    early = procedures.performed_at.date() < procedures.claim_admitted_at.date()
    late = procedures.performed_at.date() > procedures.claim_discharged_at.date()
    return procedures.count(where=(procedures.claim_visit_type == "inpatient") & (early | late))


_STAY = {"visit_type": "inpatient", "stay_days": 3}
procedures_outside_stay.fires(1, claim=_STAY, procedures=[{"code": "4701", "performed_at": datetime(2024, 6, 30)}])
procedures_outside_stay.fires(1, claim=_STAY, procedures=[{"code": "4701", "performed_at": datetime(2024, 6, 10)}])
procedures_outside_stay.fires(
    2,
    claim=_STAY,
    procedures=[
        {"code": "4701", "performed_at": datetime(2024, 6, 30)},
        {"code": "5123", "performed_at": datetime(2024, 6, 10)},
    ],
)
procedures_outside_stay.quiet(0, claim=_STAY, procedures=[{"code": "4701", "performed_at": datetime(2024, 6, 13)}])
procedures_outside_stay.quiet(0, claim=_STAY, procedures=["4701"])
procedures_outside_stay.quiet(0, procedures=[{"code": "4701", "performed_at": datetime(2024, 6, 30)}])


@signal(
    title={"en": "Procedures of the other sex", "zh": "手术操作编码与性别不符"},
    says={
        "en": "{value:.0f} procedure(s) are operations on organs of the other sex; {limit:.0f} is possible.",
        "zh": "{value:.0f}项手术操作编码与患者性别不符,应为{limit:.0f}项。",
    },
    unit="procedures",
    riskier="high",
    default=0,
    violation="T05",
    kind="violation",
    severity="serious",
    national_code="GZ10000201005000",
    limit="sex_conflicts",
    cites=["decree-735.40.1", "national-rules-2023"],
    excuses={"en": "A wrong sex in the register, or a slip of one digit.", "zh": "登记性别有误,或编码录入差错。"},
)
def procedure_sex_conflicts(procedures):
    """Procedures of ICD-9-CM-3 chapters 60 to 64 for women, 65 to 75 for men.

    Codes of three digits are left out, since a leading zero may have been lost. Blind spot: other code systems.

    释义:女性的ICD-9-CM-3第60至64章、男性的第65至75章手术操作数。
    盲区:其他编码体系。
    """
    chapter, long = procedures.code.substr(0, 2), procedures.code.substr(3, 1) != ""
    his = chapter.isin(_HIS_OPERATIONS) & (procedures.claim_patient_sex == "female")
    hers = chapter.isin(_HER_OPERATIONS) & (procedures.claim_patient_sex == "male")
    return procedures.count(where=long & (his | hers))


_MAN, _WOMAN = {"patient_id": "P", "sex": "male"}, {"patient_id": "P", "sex": "female"}
procedure_sex_conflicts.fires(1, patients=_MAN, procedures=["6829"])
procedure_sex_conflicts.fires(2, patients=_MAN, procedures=["7410", "7359", "4701"])
procedure_sex_conflicts.fires(1, patients=_WOMAN, procedures=["6029"])
procedure_sex_conflicts.quiet(0, patients=_WOMAN, procedures=["6829"])
procedure_sex_conflicts.quiet(0, patients=_MAN, procedures=["741", "4701"])
procedure_sex_conflicts.quiet(0, procedures=["6829"])


@signal(
    title={"en": "Birth without a pregnancy", "zh": "分娩操作与诊断不符"},
    says={
        "en": "{value:.0f} procedure(s) of childbirth stand beside no diagnosis of pregnancy; {limit:.0f} is possible.",
        "zh": "{value:.0f}项分娩相关操作而无妊娠诊断,应为{limit:.0f}项。",
    },
    unit="procedures",
    riskier="high",
    default=0,
    violation="T17",
    national_code="GZ10000201006000",
    limit="contradictions",
    cites=["national-rules-2023", "causes-35"],
    excuses={"en": "A list of diagnoses that was cut off.", "zh": "诊断列表上传不全。"},
)
def births_without_pregnancy(diagnoses, procedures):
    """Procedures of ICD-9-CM-3 chapters 72 to 75 on a claim without any diagnosis of pregnancy.

    Blind spot: every other operation whose disease is missing.

    释义:无任何妊娠诊断的结算单中,ICD-9-CM-3第72至75章的手术操作数。
    盲区:其他缺少对应疾病的手术。
    """
    pregnant = diagnoses.count(where=diagnoses.code.substr(0, 2).isin(_PREGNANCY))
    birth = procedures.code.substr(0, 2).isin(_BIRTH_OPERATIONS) & (procedures.code.substr(2, 1) != "")
    return ((pregnant == 0) & (diagnoses.count() > 0)).ifelse(procedures.count(where=birth), 0)


births_without_pregnancy.fires(1, diagnoses=["K358"], procedures=["741"])
births_without_pregnancy.fires(1, diagnoses=["N201"], procedures=["740"])
births_without_pregnancy.fires(2, diagnoses=["K358", "I10"], procedures=["741", "7569"])
births_without_pregnancy.quiet(0, diagnoses=["O820"], procedures=["741"])
births_without_pregnancy.quiet(0, diagnoses=["K358"], procedures=["4701"])
births_without_pregnancy.quiet(0, procedures=["741"])


@signal(
    title={"en": "Diagnoses of the other sex", "zh": "诊断与患者性别不符"},
    says={
        "en": "{value:.0f} diagnosis(es) can only be had by the other sex; {limit:.0f} is possible.",
        "zh": "{value:.0f}个诊断与患者性别不符,应为{limit:.0f}个。",
    },
    unit="codes",
    riskier="high",
    default=0,
    violation="T05",
    kind="violation",
    severity="serious",
    national_code="GZ10000204006000",
    limit="sex_conflicts",
    cites=["decree-735.40.1", "national-rules-2023", "audit-report-cases"],
    excuses={"en": "A wrong sex in the register, or a slip of one digit.", "zh": "登记性别有误,或编码录入差错。"},
)
def diagnosis_sex_conflicts(diagnoses):
    """Diagnoses (ICD-10) of female organs and pregnancy for a man, of male organs for a woman.

    Blind spot: diagnoses in ICD-9, and diseases that both sexes can have.

    释义:男性的女性器官及妊娠诊断、女性的男性器官诊断(ICD-10)数。
    盲区:ICD-9诊断,以及两性均可患的疾病。
    """
    hers = _category(diagnoses).isin(_HERS) & (diagnoses.claim_patient_sex == "male")
    his = _category(diagnoses).isin(_HIS) & (diagnoses.claim_patient_sex == "female")
    return diagnoses.count(where=hers | his)


diagnosis_sex_conflicts.fires(1, patients=_MAN, diagnoses=["O820", "I10"])
diagnosis_sex_conflicts.fires(1, patients=_MAN, diagnoses=["D259"])
diagnosis_sex_conflicts.fires(2, patients=_WOMAN, diagnoses=["N40", "C61"])
diagnosis_sex_conflicts.quiet(0, patients=_WOMAN, diagnoses=["O820", "D259"])
diagnosis_sex_conflicts.quiet(0, patients=_MAN, diagnoses=["N40", "C509"])
diagnosis_sex_conflicts.quiet(0, diagnoses=["O820"])


@signal(
    title={"en": "Diagnoses that do not fit the age", "zh": "诊断与患者年龄不符"},
    says={
        "en": "{value:.0f} diagnosis(es) do not fit the patient's age: of a newborn for somebody older, of pregnancy "
        "outside its years; {limit:.0f} is possible.",
        "zh": "{value:.0f}个诊断与患者年龄不符(新生儿疾病、妊娠相关),应为{limit:.0f}个。",
    },
    unit="codes",
    riskier="high",
    default=0,
    violation="T05",
    severity="serious",
    national_code="GZ10000204007000",
    limit="age_conflicts",
    cites=["decree-735.40.1", "national-rules-2023", "audit-report-cases"],
    excuses={
        "en": "A wrong date of birth, or a mother's claim under her newborn's name.",
        "zh": "登记出生日期有误,或母婴费用混登。",
    },
)
def diagnosis_age_conflicts(diagnoses, limits):
    """Primary diagnoses of the newborn (ICD-10 P) beyond the first years, and of pregnancy (O) outside its years.

    Blind spot: diagnoses in ICD-9.

    释义:超出新生儿期的新生儿主诊断(ICD-10 P)及超出育龄的妊娠主诊断(O)数。
    盲区:ICD-9诊断。
    """
    letter, age = diagnoses.code.substr(0, 1), diagnoses.claim_age_years
    newborn = (letter == "P") & (diagnoses.position == 1) & (age > limits.newborn_diagnosis_years)
    pregnant = (letter == "O") & ((age < limits.pregnancy_from_years) | (age > limits.pregnancy_to_years))
    return diagnoses.count(where=newborn | pregnant)


_OLD_WOMAN = {"patient_id": "P", "sex": "female", "birth_date": date(1949, 1, 1)}
diagnosis_age_conflicts.fires(1, patients=_OLD_WOMAN, diagnoses=["O069"])
diagnosis_age_conflicts.fires(1, patients=_OLD_WOMAN, diagnoses=["P590"])
diagnosis_age_conflicts.fires(1, patients={**_OLD_WOMAN, "birth_date": date(2016, 1, 1)}, diagnoses=["O069"])
diagnosis_age_conflicts.quiet(0, patients={**_OLD_WOMAN, "birth_date": date(1995, 1, 1)}, diagnoses=["O820"])
diagnosis_age_conflicts.quiet(0, patients={**_OLD_WOMAN, "birth_date": date(2024, 6, 1)}, diagnoses=["P590"])
diagnosis_age_conflicts.quiet(0, diagnoses=["O069"])


@signal(
    title={"en": "Days until the upload", "zh": "就诊数据上传延迟天数"},
    says={
        "en": "The claim was uploaded {value:.0f} days after its settlement; up to {limit:.0f} are usual.",
        "zh": "本单在结算后{value:.0f}天才上传,通常不超过{limit:.0f}天。",
    },
    unit="days",
    riskier="high",
    violation="T31",
    low=float("-inf"),
    national_code="GZ10000201007000",
    limit="upload_days",
    cites=["national-rules-2023", "decree-735.40.2"],
    excuses={"en": "A line that was down, or a version that mended an error.", "zh": "网络故障,或更正后重新上传。"},
)
def upload_delay(claim):
    """Days from the settlement to the upload of this version of the claim.

    Blind spot: data that were made up in time.

    释义:结算至本版数据上传的天数。
    盲区:及时编造的数据。
    """
    return days_between(claim.uploaded_at, claim.settled_at)


upload_delay.fires(28, claim={"uploaded_at": datetime(2024, 7, 10)})
upload_delay.fires(8, claim={"uploaded_at": datetime(2024, 6, 20, 0, 5)})
upload_delay.fires(10, claim={"visit_type": "inpatient", "stay_days": 10, "uploaded_at": datetime(2024, 7, 2, 8)})
upload_delay.quiet(7, claim={"uploaded_at": datetime(2024, 6, 19, 23, 55)})
# Sent while the patient was still there, and settled later.
upload_delay.quiet(-1, claim={"uploaded_at": datetime(2024, 6, 11, 20)})
upload_delay.quiet(0, claim={"uploaded_at": datetime(2024, 6, 12, 20)})
upload_delay.quiet(None)
