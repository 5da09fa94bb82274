"""What one person hands in on paper."""

from fraud.signals import signal


@signal(
    title={"en": "Amount handed in on paper", "zh": "手工报销金额"},
    says={
        "en": "The person handed in papers for {value:,.0f} in the window (peers: {peer_median:,.0f}).",
        "zh": "参保人在观察期内手工报销{value:,.0f}元(同类人群中位数{peer_median:,.0f}元)。",
    },
    unit="money",
    riskier="high",
    default=0,
    volume=True,
    peer=True,
    violation="T22",
    cites=["decree-735.41"],
    excuses={
        "en": "A severe illness treated away from home, where the card does not work.",
        "zh": "异地重症治疗且当地无法直接结算。",
    },
)
def paper_amount(window):
    """Total amount of the person's claims that were handed in by hand and paid later, in the payer's currency.

    Blind spot: papers spread over the members of a family.

    释义:参保人观察期内手工报销结算单的总费用。
    盲区:分散于家庭成员名下的票据。
    """
    return window.total_amount.sum(where=window.settlement_channel == "manual")


paper_amount.fires(3000, window={"settlement_channel": "manual", "total_amount": 1000.0, "times": 3})
paper_amount.quiet(0, window={"settlement_channel": "direct", "times": 3})
