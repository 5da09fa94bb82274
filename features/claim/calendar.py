"""On which days a claim begins and ends."""

from fraud.signals import signal


@signal(
    title={"en": "Begins on a weekend", "zh": "周末开始就诊"},
    says={
        "en": "Whether the care began on a Saturday or Sunday (1 yes, 0 no): {value:.0f}.",
        "zh": "是否于周六或周日开始就诊(1是,0否):{value:.0f}。",
    },
    unit="yes (1) or no (0)",
    riskier="high",
    high=1,
    violation="T06",
    cites=["decree-735.40.3"],
    excuses={"en": "Emergencies come on any day.", "zh": "急诊不分日期。"},
)
def begins_on_weekend(claim):
    """1 when the claim begins on a Saturday or Sunday, else 0.

    Blind spot: public holidays, and weekends that are made working days.
    """
    return (claim.weekday >= 5).cast("int64")


begins_on_weekend.fires(1, claim={"days_ago": 4})
begins_on_weekend.quiet(0)


@signal(
    title={"en": "Ends at month end", "zh": "月末结束就诊"},
    says={
        "en": "Whether the care ended in the last days of a month (1 yes, 0 no): {value:.0f}.",
        "zh": "是否于月末结束就诊(1是,0否):{value:.0f}。",
    },
    unit="yes (1) or no (0)",
    riskier="high",
    high=1,
    violation="T01",
    cites=["decree-735.38.1"],
    excuses={"en": "Chance: a month has several last days.", "zh": "偶然因素:月末本有数日。"},
)
def ends_at_month_end(claim, limits):
    """1 when the claim ends on one of the last days of a month, else 0.

    Blind spot: budgets that end on other days.
    """
    return (claim.discharged_at.day() >= limits.month_end_day).cast("int64")


ends_at_month_end.fires(1, claim={"days_ago": 15})
ends_at_month_end.quiet(0)
