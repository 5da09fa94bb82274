"""Drug packages that were sold before."""

from fraud.signals import ratio, signal


def _traced(window_lines):
    return window_lines.count(where=window_lines.trace_code.notnull())


@signal(
    title={"en": "Trace codes seen before", "zh": "追溯码重复结算占比"},
    says={
        "en": "{value:.1%} of the drug packages with a trace code had been settled before, on another claim "
        "(peers: {peer_median:.1%}).",
        "zh": "带追溯码的药品中,{value:.1%}此前已在其他结算单中结算(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    total=_traced,
    violation="T23",
    severity="serious",
    cites=["rules-2026", "decree-735.38.5", "decree-735.38.4"],
    excuses={
        "en": "A package opened and sold in parts, or a returned sale that was not reversed.",
        "zh": "拆零销售,或退货未冲正。",
    },
)
def repeated_code_share(window_lines):
    """Share of the lines with a trace code whose code was first settled before this claim, anywhere.

    Blind spot: codes that were first scanned outside the insurance.

    释义:有追溯码的明细中,该码在任何机构先于本单结算过的占比。
    盲区:首次扫码在医保之外的追溯码。
    """
    traced = window_lines.trace_code.notnull()
    again = (window_lines.code_first_at < window_lines.settled_at).fill_null(False)
    return ratio(window_lines.count(where=again), window_lines.count(where=traced))


_BOX = {"lines": [{"trace_code": "8101"}]}
repeated_code_share.fires(0.5, window=[{**_BOX, "days_ago": 20}, {**_BOX, "days_ago": 10}])
repeated_code_share.fires(1, window={**_BOX, "days_ago": 10}, others={**_BOX, "days_ago": 50})
repeated_code_share.quiet(0, window=[_BOX, {"lines": [{"trace_code": "8102"}]}], others={**_BOX, "days_ago": 1})
repeated_code_share.quiet(None, window={"lines": [{}]})
