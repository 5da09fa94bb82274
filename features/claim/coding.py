"""How a claim is coded: how many codes, and how rare they are."""

from fraud.signals import signal


@signal(
    title={"en": "Diagnosis codes", "zh": "诊断编码数"},
    says={"en": "The claim lists {value:.0f} diagnoses.", "zh": "本单列有{value:.0f}个诊断。"},
    unit="codes",
    riskier="high",
    default=0,
    violation="T17",
    national_code="GZ10000201003000",
    cites=["causes-35", "upcoding-nber"],
    excuses={"en": "An old patient with many illnesses.", "zh": "高龄多病患者。"},
)
def diagnosis_codes(diagnoses):
    """Diagnoses that the claim lists: the highest position of one.

    Blind spot: whether the record supports the codes.

    释义:结算单所列诊断数,即最大序号。
    盲区:病历是否支持这些编码。
    """
    return diagnoses.position.max()


diagnosis_codes.fires(9, diagnoses=[{"code": "E1#", "times": 9}])
diagnosis_codes.quiet(1, diagnoses=["I10"])


@signal(
    title={"en": "Rarest diagnosis", "zh": "最罕见诊断的出现率"},
    says={
        "en": "The rarest diagnosis of the claim appears on {value:.3%} of all claims.",
        "zh": "本单最罕见的诊断仅见于{value:.3%}的结算单。",
    },
    unit="share",
    riskier="low",
    high=1,
    violation="T17",
    cites=["causes-35", "upcoding-nber"],
    excuses={"en": "A genuinely rare disease.", "zh": "确为罕见病。"},
)
def rarest_diagnosis(diagnoses):
    """Smallest share of all claims that any diagnosis of this claim has.

    Blind spot: a code that was never seen when norms were learned counts as not known.

    释义:本单各诊断在全部结算单中的最低出现率。
    盲区:基准形成时未见过的编码按未知处理。
    """
    return diagnoses.code_share.min()


rarest_diagnosis.fires(
    0.0001,
    diagnoses=["I10", "Q87"],
    norms=[
        {"domain": "diagnosis", "code": "I10", "share": 0.2},
        {"domain": "diagnosis", "code": "Q87", "share": 0.0001},
    ],
)
rarest_diagnosis.quiet(0.2, diagnoses=["I10"], norms=[{"domain": "diagnosis", "code": "I10", "share": 0.2}])


@signal(
    title={"en": "Procedure codes", "zh": "手术操作编码数"},
    says={
        "en": "The claim lists {value:.0f} procedures.",
        "zh": "本单列有{value:.0f}项手术操作。",
    },
    unit="codes",
    riskier="high",
    default=0,
    violation="T17",
    national_code="GZ10000201004000",
    cites=["causes-35", "decree-735.38.2"],
    excuses={"en": "A complex operation is coded in several steps.", "zh": "复杂手术按多个步骤编码。"},
)
def procedure_codes(procedures):
    """Procedures that the claim lists: the highest position of one.

    Blind spot: whether they were carried out.

    释义:结算单所列手术操作数,即最大序号。
    盲区:手术操作是否确已实施。
    """
    return procedures.position.max()


procedure_codes.fires(5, procedures=[{"code": "99#", "times": 5}])
procedure_codes.quiet(0)


@signal(
    title={"en": "Rarest procedure", "zh": "最罕见手术操作的出现率"},
    says={
        "en": "The rarest procedure of the claim appears on {value:.3%} of all claims.",
        "zh": "本单最罕见的手术操作仅见于{value:.3%}的结算单。",
    },
    unit="share",
    riskier="low",
    high=1,
    violation="T17",
    cites=["causes-35"],
    excuses={"en": "A specialised department.", "zh": "专科特色科室。"},
)
def rarest_procedure(procedures):
    """Smallest share of all claims that any procedure of this claim has.

    Blind spot: a code that was never seen when norms were learned counts as not known.

    释义:本单各手术操作在全部结算单中的最低出现率。
    盲区:基准形成时未见过的编码按未知处理。
    """
    return procedures.code_share.min()


rarest_procedure.fires(0.0002, procedures=["9904"], norms=[{"domain": "procedure", "code": "9904", "share": 0.0002}])
rarest_procedure.quiet(0.1, procedures=["9904"], norms=[{"domain": "procedure", "code": "9904", "share": 0.1}])
