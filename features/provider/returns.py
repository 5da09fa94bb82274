"""Patients who come back: split stays, readmissions, and a clientele that keeps coming."""

from fraud.signals import ratio, share, signal

_CHRONIC = {"en": "Chronic patients treated close to home.", "zh": "慢性病患者就近治疗。"}
_CYCLES = {"en": "Planned cycles of treatment.", "zh": "计划性周期治疗。"}
_TWO_STAYS = [
    {"patient_id": "P1", "visit_type": "inpatient", "days_ago": 40, "stay_days": 5},
    {"patient_id": "P1", "visit_type": "inpatient", "days_ago": 30, "stay_days": 5},
]
_STRANGERS = [{"patient_id": "P#", "visit_type": "inpatient", "times": 4}]


@signal(
    title={"en": "Share of split stays", "zh": "疑似分解住院占比"},
    says={
        "en": "{value:.1%} of the claims follow an earlier stay here for the same disease closely "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单紧随同院同病的前次住院(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T01",
    national_code="GZ10000204001000",
    cites=["decree-735.38.1", "national-rules-2023", "readmit-window"],
    excuses={
        "en": "Planned cycles of treatment that are not marked as planned.",
        "zh": "未标记为计划性住院的周期治疗。",
    },
)
def split_stay_share(window_signals, limits):
    """Share of the window's claims whose `claim.split_stay_gap` is below `split_admission_days`.

    Blind spot: stays split between two hospitals that work together.

    释义:窗口内`claim.split_stay_gap`小于`split_admission_days`的结算单占比。
    盲区:在两家协作医院之间分解的住院。
    """
    return share(window_signals.split_stay_gap < limits.split_admission_days)


split_stay_share.fires(0.5, window=_TWO_STAYS)
split_stay_share.quiet(0, window=_STRANGERS)


@signal(
    title={"en": "Share of stays that return soon", "zh": "短期内重返本院占比"},
    says={
        "en": "{value:.1%} of the claims begin soon after a stay of the same patient here (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单为患者出院后短期内重返本院(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T01",
    cites=["decree-735.38.1", "readmit-window"],
    excuses=_CYCLES,
)
def return_share(window_signals, limits):
    """Share of the window's claims that begin within `return_days` of the patient's last stay here.

    Blind spot: stays split between two hospitals that work together.

    释义:窗口内距患者在本院上次住院不超过`return_days`天开始的结算单占比。
    盲区:在两家协作医院之间分解的住院。
    """
    return share(window_signals.days_since_stay_here <= limits.return_days)


return_share.fires(0.5, window=_TWO_STAYS)
return_share.quiet(0, window=_STRANGERS)


@signal(
    title={"en": "Stays that return soon", "zh": "短期内重返本院次数"},
    says={
        "en": "{value:,.0f} claims begin soon after a stay of the same patient here (peers: {peer_median:,.0f}).",
        "zh": "{value:,.0f}张结算单为患者出院后短期内重返本院(同类机构中位数{peer_median:,.0f}张)。",
    },
    unit="claims",
    riskier="high",
    default=0,
    volume=True,
    violation="T01",
    cites=["decree-735.38.1", "readmit-window"],
    excuses=_CYCLES,
)
def returns(window_signals, limits):
    """Claims of the window that begin within `return_days` of the patient's last stay here.

    Blind spot: grows with the number of claims.

    释义:窗口内距患者在本院上次住院不超过`return_days`天开始的结算单数。
    盲区:随结算单数增长。
    """
    return window_signals.count(where=window_signals.days_since_stay_here <= limits.return_days)


returns.fires(1, window=_TWO_STAYS)
returns.quiet(0, window=_STRANGERS)


@signal(
    title={"en": "Readmission rate", "zh": "再入院率"},
    says={
        "en": "{value:.1%} of the claims begin within the readmission interval after a stay anywhere "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单处于任一机构出院后的再入院观察期内(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T01",
    national_code="ZB10000205008000",
    cites=["national-rules-2023", "national-rules-2025"],
    excuses={
        "en": "Transfers, and diseases that come back by their nature.",
        "zh": "转院患者,或易复发疾病。",
    },
)
def readmission_share(window_signals, limits):
    """Share of the window's claims that begin within `unplanned_readmission_days` of a stay at any provider.

    Blind spot: planned stays count where the data do not say that they were planned.

    释义:窗口内距任一机构住院不超过`unplanned_readmission_days`天开始的结算单占比。
    盲区:数据未注明为计划内的住院也计入。
    """
    return share(window_signals.days_since_stay <= limits.unplanned_readmission_days)


readmission_share.fires(0.5, window=_TWO_STAYS)
readmission_share.quiet(0, window=_STRANGERS)


@signal(
    title={"en": "Claims of known patients", "zh": "老患者结算单数"},
    says={
        "en": "{value:,.0f} claims are of patients who had been here before (peers: {peer_median:,.0f}).",
        "zh": "{value:,.0f}张结算单来自曾在本机构就诊的患者(同类机构中位数{peer_median:,.0f}张)。",
    },
    unit="claims",
    version=2,
    riskier="high",
    default=0,
    volume=True,
    violation="T25",
    cites=["decree-735.40.1"],
    excuses=_CHRONIC,
)
def known_patient_claims(window):
    """Claims of the window beyond the first one of each patient.

    Blind spot: grows with the number of claims.

    释义:窗口内每名患者首次之后的结算单数。
    盲区:随结算单数增长。
    """
    return window.count() - window.patient_id.nunique()


known_patient_claims.fires(1, window=_TWO_STAYS)
known_patient_claims.quiet(0, window=_STRANGERS)


@signal(
    title={"en": "Last stay was here too", "zh": "上次住院同在本院占比"},
    says={
        "en": "Of the claims that follow an earlier stay, {value:.1%} follow one at this provider "
        "(peers: {peer_median:.1%}).",
        "zh": "有前次住院的结算单中,{value:.1%}的上次住院也在本院(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T25",
    cites=["decree-735.40.1"],
    excuses={"en": "The only hospital in the area.", "zh": "当地唯一医院。"},
)
def last_stay_here_share(window_signals):
    """Among claims with an earlier stay of the patient: share whose last stay was at this provider.

    Blind spot: patients without any earlier stay.

    释义:有既往住院的结算单中,上次住院在本机构的占比。
    盲区:没有既往住院的患者。
    """
    here = (window_signals.days_since_stay_here <= window_signals.days_since_stay).fill_null(False)
    return here.mean(where=window_signals.days_since_stay.notnull())


last_stay_here_share.fires(1, window=_TWO_STAYS)
last_stay_here_share.quiet(
    0,
    window=_TWO_STAYS[1],
    others={"patient_id": "P1", "visit_type": "inpatient", "provider_id": "H2", "days_ago": 60},
)
last_stay_here_share.quiet(None, window=_STRANGERS)


@signal(
    title={"en": "Claims for each patient", "zh": "人均结算次数"},
    says={
        "en": "A patient has {value:.2f} claims here on average (peers: {peer_median:.2f}).",
        "zh": "人均结算{value:.2f}次(同类机构中位数{peer_median:.2f}次)。",
    },
    unit="claims",
    riskier="high",
    peer=True,
    violation="T01",
    cites=["decree-735.38.1", "decree-735.38.2"],
    excuses=_CHRONIC,
)
def claims_per_patient(window):
    """Claims over different patients in the window.

    Blind spot: grows slowly with the length of the window that the data fill.

    释义:窗口内结算单数除以不同患者数。
    盲区:随数据覆盖的窗口长度缓慢增长。
    """
    return ratio(window.count(), window.patient_id.nunique())


claims_per_patient.fires(4, window={"times": 4})
claims_per_patient.quiet(1, window=_STRANGERS)


@signal(
    title={"en": "Amount for each patient", "zh": "人均费用"},
    says={
        "en": "A patient costs {value:,.0f} here on average (peers: {peer_median:,.0f}).",
        "zh": "人均费用{value:,.0f}元(同类机构中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="high",
    peer=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses={"en": "A clientele of severe cases.", "zh": "收治患者病情较重。"},
)
def amount_per_patient(window):
    """Total amount over different patients in the window, in the payer's currency.

    Blind spot: case mix; see `provider.amount_against_mix`.

    释义:窗口内总费用除以不同患者数。
    盲区:病种构成,见`provider.amount_against_mix`。
    """
    return ratio(window.total_amount.sum(), window.patient_id.nunique())


amount_per_patient.fires(4000, window={"times": 4})
amount_per_patient.quiet(1000, window=_STRANGERS)


@signal(
    title={"en": "Share of near-duplicate claims", "zh": "疑似重复结算占比"},
    says={
        "en": "{value:.1%} of the claims repeat patient, diagnosis and amount of another claim of the same days "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单与近日另一单的患者、诊断和金额相同(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T07",
    cites=["decree-735.38.3", "ncci"],
    excuses={
        "en": "A fixed price for each session of one course of treatment.",
        "zh": "同一疗程按次定额收费。",
    },
)
def near_duplicate_share(window_signals):
    """Share of the window's claims with at least one `claim.near_duplicates`.

    Blind spot: copies whose amount was changed by a cent.

    释义:窗口内至少有一次`claim.near_duplicates`的结算单占比。
    盲区:金额改动一分钱的重复单。
    """
    return share(window_signals.near_duplicates > 0)


near_duplicate_share.fires(0.5, window=[{"days_ago": 10}, {"days_ago": 11}])
near_duplicate_share.quiet(0, window=_STRANGERS)
