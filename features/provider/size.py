"""How much a provider bills: context for every other figure, and of little use alone."""

from fraud.signals import signal


@signal(
    title={"en": "Claims", "zh": "结算单数"},
    says={
        "en": "The provider billed {value:,.0f} claims in the window (peers: {peer_median:,.0f}).",
        "zh": "该机构在观察期内结算{value:,.0f}单(同类机构中位数{peer_median:,.0f}单)。",
    },
    unit="claims",
    riskier="high",
    default=0,
    volume=True,
    violation="T40",
    cites=["project-document-002"],
    excuses={"en": "A large hospital.", "zh": "规模较大的机构。"},
)
def claims(window):
    """Claims settled in the window.

    Blind spot: size is no sign of fault; read the scale-free signals beside it.

    释义:窗口内结算单数。
    盲区:规模大不等于有问题,请看与规模无关的指标。
    """
    return window.count()


claims.fires(4, window={"times": 4})
claims.quiet(0)


@signal(
    title={"en": "Patients", "zh": "患者人数"},
    says={
        "en": "The provider billed for {value:,.0f} patients in the window (peers: {peer_median:,.0f}).",
        "zh": "该机构在观察期内为{value:,.0f}名患者结算(同类机构中位数{peer_median:,.0f}名)。",
    },
    unit="patients",
    riskier="high",
    default=0,
    volume=True,
    violation="T40",
    cites=["project-document-002"],
    excuses={"en": "A large hospital.", "zh": "规模较大的机构。"},
)
def patients(window):
    """Different patients in the window.

    Blind spot: size is no sign of fault; read the scale-free signals beside it.

    释义:窗口内不同患者数。
    盲区:规模大不等于有问题,请看与规模无关的指标。
    """
    return window.patient_id.nunique()


patients.fires(4, window={"patient_id": "P#", "times": 4})
patients.quiet(1, window={"times": 4})


@signal(
    title={"en": "Total amount", "zh": "结算总金额"},
    says={
        "en": "The charges of the window add up to {value:,.0f} (peers: {peer_median:,.0f}).",
        "zh": "观察期内总费用{value:,.0f}元(同类机构中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="high",
    default=0,
    volume=True,
    violation="T16",
    cites=["decree-735.38.2"],
    excuses={"en": "A large hospital.", "zh": "规模较大的机构。"},
)
def total_amount(window):
    """Total amount of all claims in the window, in the payer's currency.

    Blind spot: size is no sign of fault; read the scale-free signals beside it.

    释义:窗口内全部结算单总费用。
    盲区:规模大不等于有问题,请看与规模无关的指标。
    """
    return window.total_amount.sum()


total_amount.fires(4000, window={"times": 4})
total_amount.quiet(0)


@signal(
    title={"en": "Days in hospital", "zh": "总住院天数"},
    says={
        "en": "The stays of the window add up to {value:,.0f} nights (peers: {peer_median:,.0f}).",
        "zh": "观察期内住院合计{value:,.0f}天(同类机构中位数{peer_median:,.0f}天)。",
    },
    unit="days",
    riskier="high",
    default=0,
    volume=True,
    violation="T02",
    cites=["decree-735.38.1"],
    excuses={"en": "A large hospital.", "zh": "规模较大的机构。"},
)
def total_nights(window):
    """Nights of all claims in the window.

    Blind spot: size is no sign of fault; read the scale-free signals beside it.

    释义:窗口内全部结算单的住院夜数。
    盲区:规模大不等于有问题,请看与规模无关的指标。
    """
    return window.stay_days.sum()


total_nights.fires(20, window={"visit_type": "inpatient", "stay_days": 5, "times": 4})
total_nights.quiet(0)
