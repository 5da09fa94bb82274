"""How a provider codes: breadth, rarity and concentration of diagnoses and procedures."""

from fraud.signals import ratio, signal

_SPECIAL = {"en": "A specialised hospital.", "zh": "专科医院。"}


@signal(
    title={"en": "Different diagnosis codes", "zh": "诊断编码种数"},
    says={
        "en": "{value:,.0f} different diagnosis codes appear on the claims (peers: {peer_median:,.0f}).",
        "zh": "结算单中出现{value:,.0f}种诊断编码(同类机构中位数{peer_median:,.0f}种)。",
    },
    unit="codes",
    riskier="high",
    default=0,
    volume=True,
    violation="T17",
    national_code="GZ10000201003000",
    cites=["causes-35"],
    excuses={"en": "A large hospital.", "zh": "规模较大的机构。"},
)
def diagnosis_codes(window_diagnoses):
    """Different diagnosis codes on the claims of the window.

    Blind spot: grows with the number of claims.

    释义:窗口内结算单的不同诊断编码数。
    盲区:随结算单数增长。
    """
    return window_diagnoses.code.nunique()


diagnosis_codes.fires(3, window=[{"diagnoses": ["A01", "B01"]}, {"diagnoses": ["C01"]}])
diagnosis_codes.quiet(1, window=[{"diagnoses": ["A01"]}, {"diagnoses": ["A01"]}])


@signal(
    title={"en": "Diagnoses for each claim", "zh": "单均诊断数"},
    says={
        "en": "A claim lists {value:.1f} diagnoses on average (peers: {peer_median:.1f}).",
        "zh": "单均列有{value:.1f}个诊断(同类机构中位数{peer_median:.1f}个)。",
    },
    unit="codes",
    riskier="high",
    peer=True,
    violation="T17",
    national_code="GZ10000201003000",
    cites=["causes-35", "upcoding-nber", "township-upcoding-case"],
    excuses={"en": "Old patients with many illnesses.", "zh": "高龄多病患者较多。"},
)
def diagnoses_per_claim(window_signals):
    """Mean of `claim.diagnosis_codes` over the claims of the window.

    Blind spot: whether the records support the codes.

    释义:窗口内各单`claim.diagnosis_codes`的均值。
    盲区:病历是否支持这些编码。
    """
    return window_signals.diagnosis_codes.mean()


diagnoses_per_claim.fires(3, window=[{"diagnoses": ["A01", "B01", "C01", "D01"]}, {"diagnoses": ["A01", "B01"]}])
diagnoses_per_claim.quiet(1, window=[{"diagnoses": ["A01"]}, {"diagnoses": ["A01"]}])


@signal(
    title={"en": "Share of rare diagnoses", "zh": "罕见诊断占比"},
    says={
        "en": "{value:.1%} of the listed diagnoses are rare ones (peers: {peer_median:.1%}).",
        "zh": "所列诊断中{value:.1%}为罕见诊断(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T17",
    cites=["causes-35", "upcoding-nber"],
    excuses=_SPECIAL,
)
def rare_diagnosis_share(window_diagnoses, limits):
    """Share of the diagnoses on the claims of the window that at most `rare_code_share` of all claims have.

    Blind spot: codes that were never seen when norms were learned are left out.

    释义:窗口内诊断中,出现率不超过`rare_code_share`的占比。
    盲区:基准形成时未见过的编码不计。
    """
    return (window_diagnoses.code_share <= limits.rare_code_share).mean()


_CODES = [
    {"domain": "diagnosis", "code": "I10", "share": 0.2},
    {"domain": "diagnosis", "code": "Q87", "share": 0.0001},
]
rare_diagnosis_share.fires(0.5, window={"diagnoses": ["I10", "Q87"]}, norms=_CODES)
rare_diagnosis_share.quiet(0, window={"diagnoses": ["I10"]}, norms=_CODES)


@signal(
    title={"en": "Procedures for each claim", "zh": "单均手术操作数"},
    says={
        "en": "A claim lists {value:.2f} procedures on average (peers: {peer_median:.2f}).",
        "zh": "单均列有{value:.2f}项手术操作(同类机构中位数{peer_median:.2f}项)。",
    },
    unit="codes",
    riskier="high",
    peer=True,
    violation="T17",
    national_code="GZ10000201004000",
    cites=["causes-35", "decree-735.38.2"],
    excuses={"en": "A surgical hospital.", "zh": "以手术为主的医院。"},
)
def procedures_per_claim(window_signals):
    """Mean of `claim.procedure_codes` over the claims of the window.

    Blind spot: whether the procedures were carried out.

    释义:窗口内各单`claim.procedure_codes`的均值。
    盲区:手术操作是否确已实施。
    """
    return window_signals.procedure_codes.mean()


procedures_per_claim.fires(2, window=[{"procedures": ["1", "2", "3"]}, {"procedures": ["1"]}])
procedures_per_claim.quiet(0, window={"times": 2})


@signal(
    title={"en": "Share of rare procedures", "zh": "罕见手术操作占比"},
    says={
        "en": "{value:.1%} of the listed procedures are rare ones (peers: {peer_median:.1%}).",
        "zh": "所列手术操作中{value:.1%}为罕见操作(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T17",
    cites=["causes-35"],
    excuses=_SPECIAL,
)
def rare_procedure_share(window_procedures, limits):
    """Share of the procedures on the claims of the window that at most `rare_code_share` of all claims have.

    Blind spot: codes that were never seen when norms were learned are left out.

    释义:窗口内手术操作中,出现率不超过`rare_code_share`的占比。
    盲区:基准形成时未见过的编码不计。
    """
    return (window_procedures.code_share <= limits.rare_code_share).mean()


_STEPS = [
    {"domain": "procedure", "code": "9904", "share": 0.1},
    {"domain": "procedure", "code": "3843", "share": 0.0001},
]
rare_procedure_share.fires(0.5, window={"procedures": ["9904", "3843"]}, norms=_STEPS)
rare_procedure_share.quiet(0, window={"procedures": ["9904"]}, norms=_STEPS)


@signal(
    title={"en": "Stays without any procedure", "zh": "无手术操作的住院占比"},
    says={
        "en": "{value:.1%} of the stays list no procedure (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的住院未列任何手术操作(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T04",
    national_code="GZ10000204005000",
    cites=["decree-735.38.2", "national-rules-2023", "weihai-model"],
    excuses={"en": "A hospital of internal medicine.", "zh": "以内科为主的医院。"},
)
def no_procedure_share(window_signals):
    """Share of the inpatient stays of the window that list no procedure.

    Blind spot: sources that do not code procedures at all.

    释义:窗口内未列手术操作的住院占比。
    盲区:根本不编手术操作的数据来源。
    """
    stays = window_signals.visit_type == "inpatient"
    return (window_signals.procedure_codes == 0).mean(where=stays)


no_procedure_share.fires(1, window={"visit_type": "inpatient", "times": 2})
no_procedure_share.quiet(0, window={"visit_type": "inpatient", "procedures": ["1"], "times": 2})


@signal(
    title={"en": "Cost of a unit of group weight", "zh": "每权重费用"},
    says={
        "en": "A unit of billed group weight is backed by charges of only {value:,.0f} (peers: {peer_median:,.0f}).",
        "zh": "每单位DRG权重对应的实际费用仅{value:,.0f}元(同类机构中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="low",
    peer=True,
    violation="T17",
    severity="serious",
    cites=["causes-35", "upcoding-nber", "township-upcoding-case"],
    excuses={"en": "Efficient care, or a low level of prices.", "zh": "诊疗效率高,或收费水平较低。"},
)
def amount_per_weight(window):
    """Total amount over DRG weight of the window's weighted claims; low where weights are coded up.

    Blind spot: a hospital that raises charges along with the weights.

    释义:窗口内有权重结算单的总费用除以DRG权重;权重编高时偏低。
    盲区:费用与权重同时抬高的医院。
    """
    return ratio(window.total_amount.sum(where=window.drg_weight.notnull()), window.drg_weight.sum())


amount_per_weight.fires(500, window={"drg_weight": 2.0, "times": 3})
amount_per_weight.quiet(1000, window={"drg_weight": 1.0, "times": 3})
