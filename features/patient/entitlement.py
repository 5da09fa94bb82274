"""What a person is entitled to, and boxes of drugs that come back."""

from datetime import date

from fraud.signals import days_between, signal


@signal(
    title={"en": "Length of the assistance", "zh": "低收入家庭身份有效天数"},
    says={
        "en": "The status as a low-income family is registered for {value:.0f} days; it holds for {limit:.0f} at most "
        "and is then examined again.",
        "zh": "低收入家庭身份登记有效期{value:.0f}天,最长{limit:.0f}天,期满须重新认定。",
    },
    unit="days",
    riskier="high",
    violation="T36",
    limit="low_income_family_days",
    cites=["project-document-003", "causes-35"],
    excuses={
        "en": "Two periods in a row that were written as one.",
        "zh": "连续两次认定合并登记。",
    },
)
def assistance_days(patient):
    """Days from the first to the last day of a registered assistance as a low-income family, both included.

    Blind spot: whether the family's means were looked at.

    释义:登记的低收入家庭救助首日至末日的天数(均计入)。
    盲区:是否核查过家庭经济状况。
    """
    family = patient.assistance == "low_income_family"
    return family.ifelse(days_between(patient.assistance_to, patient.assistance_from) + 1, None)


_FAMILY = {"patient_id": "P", "assistance": "low_income_family", "insured_region": "370200"}
_SINCE = {"assistance_from": date(2023, 1, 1)}
assistance_days.fires(1096, patients={**_FAMILY, **_SINCE, "assistance_to": date(2025, 12, 31)})
# A year and a day; and two years, in the city by its name.
_LEAP = {"assistance_from": date(2024, 1, 1)}
assistance_days.fires(367, patients={**_FAMILY, **_LEAP, "assistance_to": date(2025, 1, 1)})
assistance_days.fires(
    731, patients={**_FAMILY, **_SINCE, "insured_region": "青岛市", "assistance_to": date(2024, 12, 31)}
)
assistance_days.quiet(366, patients={**_FAMILY, **_LEAP, "assistance_to": date(2024, 12, 31)})
# Other cities have terms of their own.
assistance_days.quiet(
    1096, patients={**_FAMILY, **_SINCE, "insured_region": "370102", "assistance_to": date(2025, 12, 31)}
)
assistance_days.quiet(365, patients={**_FAMILY, **_SINCE, "assistance_to": date(2023, 12, 31)})
assistance_days.quiet(None, patients={**_FAMILY, **_SINCE})
assistance_days.quiet(
    None, patients={**_FAMILY, **_SINCE, "assistance": "destitute", "assistance_to": date(2025, 12, 31)}
)


@signal(
    title={"en": "Boxes billed again", "zh": "追溯码重复结算次数"},
    says={
        "en": "{value:.0f} box(es) of drugs billed for this person carry a trace code that was billed before; "
        "{limit:.0f} is possible.",
        "zh": "该参保人名下有{value:.0f}盒药品的追溯码重复结算,应为{limit:.0f}盒。",
    },
    unit="lines",
    riskier="high",
    default=0,
    volume=True,
    violation="T23",
    severity="serious",
    limit="trace_code_repeats",
    cites=["rules-2026", "decree-735.41", "trace-code-leads"],
    excuses={
        "en": "A box that was returned unopened, or billed by the tablet.",
        "zh": "未拆封退药后再次销售,或拆零销售。",
    },
)
def repeated_trace_codes(window_lines):
    """Lines of the window with a trace code, less the different codes among them.

    Blind spot: boxes that went to another person.

    释义:窗口内有追溯码的明细行数减去不同追溯码数。
    盲区:流向他人的药盒。
    """
    return window_lines.trace_code.count() - window_lines.trace_code.nunique()


_SOLD = {"lines": [{"trace_code": "8312"}]}
repeated_trace_codes.fires(2, window=[{"days_ago": 9, **_SOLD}, {"days_ago": 3, **_SOLD}, {"days_ago": 2, **_SOLD}])
repeated_trace_codes.fires(
    2, window=[{"days_ago": d, "lines": [{"trace_code": c} for c in ("8312", "8313")]} for d in (40, 5)]
)
repeated_trace_codes.fires(3, window={**_SOLD, "visit_type": "pharmacy", "provider_id": "Y#", "times": 4})
# A box that was given back once; Jiangxi too lets it pass until 2025.
repeated_trace_codes.quiet(1, window=[{"days_ago": 9, **_SOLD}, {"days_ago": 8, **_SOLD}])
repeated_trace_codes.quiet(
    1,
    window=[{"days_ago": 9, **_SOLD}, {"days_ago": 8, **_SOLD}],
    patients={"patient_id": "P", "insured_region": "360100"},
)
repeated_trace_codes.quiet(0, window=[{"days_ago": 9, **_SOLD}, {"days_ago": 3, "lines": [{"trace_code": "8313"}]}])
repeated_trace_codes.quiet(0, window=[{"lines": [{"times": 3}]}])
