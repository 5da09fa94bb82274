"""Papers handed in by hand: what is on them beside what is usual."""

from fraud.signals import ratio, signal


@signal(
    title={"en": "Price on paper against the usual", "zh": "手工报销单价与通常单价之比"},
    says={
        "en": "On these papers an item costs {value:.1f} times what it usually costs.",
        "zh": "手工报销票据中有项目单价为通常单价的{value:.1f}倍。",
    },
    unit="times",
    riskier="high",
    violation="T22",
    severity="serious",
    cites=["decree-735.41", "duplicate-invoice-case"],
    excuses={
        "en": "A pack typed as a single unit, or a dear hospital far away.",
        "zh": "按整包装录入单价,或异地医院价格较高。",
    },
)
def price_on_paper(lines):
    """Largest ratio of a line's unit price to the mean price of its item; only for claims handed in by hand.

    A digit added to a price makes it ten times the usual. Blind spot: papers that copy real prices.

    释义:手工报销结算单中明细单价与该项目平均单价的最大比值。
    盲区:照抄真实价格的伪造票据。
    """
    return ratio(lines.unit_price, lines.item_price).max(where=lines.claim_settlement_channel == "manual")


_USUAL = {"domain": "item", "code": "X", "amount": 10.0}
_DEAR = [{"item_code": "X", "unit_price": 100.0}]
price_on_paper.fires(10, claim={"settlement_channel": "manual"}, lines=_DEAR, norms=_USUAL)
price_on_paper.quiet(
    1, claim={"settlement_channel": "manual"}, lines=[{"item_code": "X", "unit_price": 10.0}], norms=_USUAL
)
price_on_paper.quiet(None, claim={"settlement_channel": "direct"}, lines=_DEAR, norms=_USUAL)
