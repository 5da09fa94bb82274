"""What a physician prescribes: boxes that come back."""

from fraud.signals import signal


@signal(
    title={"en": "Boxes billed again", "zh": "追溯码重复结算次数"},
    says={
        "en": "{value:.0f} box(es) of drugs on this physician's claims carry a trace code that was billed before; "
        "{limit:.0f} is possible.",
        "zh": "该医师名下结算单有{value:.0f}盒药品的追溯码重复结算,应为{limit:.0f}盒。",
    },
    unit="lines",
    riskier="high",
    default=0,
    volume=True,
    violation="T12",
    severity="serious",
    limit="trace_code_repeats",
    cites=["rules-2026", "decree-735.38.4", "trace-code-leads"],
    excuses={
        "en": "Boxes that were returned unopened, or billed by the tablet.",
        "zh": "未拆封退药后再次发放,或拆零发放。",
    },
)
def repeated_trace_codes(window_lines):
    """Lines of the window with a trace code, less the different codes among them.

    Blind spot: boxes that another physician prescribed first.

    释义:窗口内有追溯码的明细行数减去不同追溯码数。
    盲区:由其他医师先开出的药盒。
    """
    return window_lines.trace_code.count() - window_lines.trace_code.nunique()


_SOLD = {"lines": [{"trace_code": "8312"}]}
repeated_trace_codes.fires(2, window=[{"patient_id": "P#", "days_ago": 9, "times": 3, **_SOLD}])
repeated_trace_codes.quiet(0, window=[{"days_ago": 9, **_SOLD}, {"days_ago": 3, "lines": [{"trace_code": "8313"}]}])
