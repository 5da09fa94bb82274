"""Billed, but was it done: reports, orders, days without care, goods handed out."""

from datetime import datetime

from fraud.signals import ratio, signal


@signal(
    title={"en": "Examinations without a report", "zh": "无报告的检查检验项目数"},
    says={
        "en": "{value:.0f} examination(s) or tests are billed without any report; {limit:.0f} is usual.",
        "zh": "{value:.0f}项检查检验收费而无报告,通常为{limit:.0f}项。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T31",
    severity="serious",
    limit="unreported_exams",
    cites=["decree-735.40.3", "national-rules-2023"],
    excuses={"en": "A report that is still being written.", "zh": "报告尚未出具或上传。"},
)
def unreported_exams(lines):
    """Lines of examinations and laboratory tests that have no time of report.

    Blind spot: reports that take longer than the settlement, and empty reports.

    释义:无报告时间的检查检验明细行数。
    盲区:晚于结算出具的报告,以及空白报告。
    """
    return lines.count(where=lines.category.isin(["examination", "laboratory"]) & lines.reported_at.isnull())


_EXAM = {"item_code": "X", "category": "examination"}
unreported_exams.fires(2, lines=[{"times": 2}], catalogue=_EXAM)
unreported_exams.fires(1, lines=[{}], catalogue={**_EXAM, "category": "laboratory"})
unreported_exams.fires(
    1, lines=[{"reported_at": datetime(2024, 6, 12)}, {"ordered_at": datetime(2024, 6, 12)}], catalogue=_EXAM
)
# A treatment has no report; of an item that the library lacks it is not known whether it has one.
unreported_exams.quiet(0, lines=[{"times": 2}], catalogue={**_EXAM, "category": "treatment"})
unreported_exams.quiet(0, lines=[{"times": 2}])
unreported_exams.quiet(0, lines=[{"reported_at": datetime(2024, 6, 12)}], catalogue=_EXAM)


@signal(
    title={"en": "Share of lines without an order", "zh": "无医嘱收费占比"},
    says={
        "en": "{value:.0%} of the lines that need an order have none.",
        "zh": "应有医嘱的收费项目中{value:.0%}无医嘱。",
    },
    unit="share",
    riskier="high",
    high=1,
    violation="T06",
    cites=["decree-735.40.3", "phantom-visit-case"],
    excuses={"en": "Orders kept on paper.", "zh": "医嘱为纸质记录。"},
)
def unordered_share(lines):
    """Share of the lines of drugs, tests, treatment and surgery without a time of order.

    Blind spot: orders written afterwards.

    释义:药品、检查、治疗、手术明细中无开立时间的占比。
    盲区:事后补开的医嘱。
    """
    needs = lines.category.isin(["drug", "examination", "laboratory", "treatment", "therapy", "surgery"])
    return lines.ordered_at.isnull().mean(where=needs)


unordered_share.fires(1, lines=[{"times": 2}], catalogue=_EXAM)
unordered_share.quiet(0, lines=[{"ordered_at": datetime(2024, 6, 12)}], catalogue=_EXAM)


@signal(
    title={"en": "Days of the stay without care", "zh": "住院期间无诊疗天数占比"},
    says={
        "en": "On {value:.0%} of the days of the stay nothing but bed and nursing is billed; above {limit:.0%} it is "
        "looked at.",
        "zh": "住院期间{value:.0%}的天数仅有床位与护理收费,超过{limit:.0%}即应核查。",
    },
    unit="share",
    riskier="high",
    low=-1,
    high=1,
    violation="T02",
    severity="serious",
    limit="idle_days_share",
    cites=["decree-735.38.1", "bed-hanging-case"],
    excuses={"en": "Observation before an operation that was put off.", "zh": "手术推迟,留院观察。"},
)
def idle_days_share(claim, lines):
    """Share of the days of an inpatient stay, first and last included, without a line other than bed and nursing.

    Blind spot: care that is billed in one sum.

    释义:住院各日(首末日均计入)中除床位、护理外无其他明细的天数占比。
    盲区:合并一笔收费的诊疗。
    """
    care = ~lines.category.isin(["bed", "nursing", "other"])
    stay = (claim.visit_type == "inpatient") & (lines.count() > 0)
    busy = ratio(lines.service_day.collect(where=care).unique().length().fill_null(0), claim.stay_days + 1)
    return stay.ifelse(1 - busy, None)


_WARD = [{"item_code": "X", "category": "bed"}, {"item_code": "Y", "category": "drug"}]
idle_days_share.fires(
    0.9,
    claim={"visit_type": "inpatient", "stay_days": 9},
    lines=[{"times": 9}, {"item_code": "Y"}],
    catalogue=_WARD,
)
_CARE = [{"item_code": "Y", "service_at": datetime(2024, 6, day)} for day in (12, 13, 14)]
idle_days_share.fires(0.6, claim={"visit_type": "inpatient", "stay_days": 4}, lines=[*_CARE[:2], {}], catalogue=_WARD)
# Drugs three times a day are one day with care.
idle_days_share.fires(
    2 / 3, claim={"visit_type": "inpatient", "stay_days": 2}, lines=[{"item_code": "Y", "times": 3}], catalogue=_WARD
)
idle_days_share.quiet(0.5, claim={"visit_type": "inpatient", "stay_days": 5}, lines=_CARE, catalogue=_WARD)
# A stay whose lines were not sent.
idle_days_share.quiet(None, claim={"visit_type": "inpatient", "stay_days": 9})
idle_days_share.quiet(
    0,
    claim={"visit_type": "inpatient", "stay_days": 0},
    lines=[{"item_code": "X"}, {"item_code": "Y"}],
    catalogue=_WARD,
)
idle_days_share.quiet(None, lines=[{"item_code": "Y"}], catalogue=_WARD)


@signal(
    title={"en": "Goods other than billed", "zh": "发放与收费不一致的项目数"},
    says={
        "en": "{value:.0f} line(s) bill another item than was handed out; {limit:.0f} is allowed.",
        "zh": "{value:.0f}行项目的收费与实际发放不一致,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T12",
    kind="violation",
    severity="serious",
    limit="substituted_lines",
    cites=["decree-735.38.4"],
    excuses={"en": "The same drug under a new code.", "zh": "同一药品更换编码。"},
)
def substituted_lines(lines):
    """Lines whose dispensed item is known and is not the billed one.

    Blind spot: substitutions that the stock record hides too.

    释义:实际发放项目已知且与收费项目不同的明细行数。
    盲区:库存记录一并掩盖的串换。
    """
    return lines.count(where=lines.dispensed_item_code != lines.item_code)


substituted_lines.fires(1, lines=[{"dispensed_item_code": "Y"}, {"dispensed_item_code": "X"}])
substituted_lines.fires(2, claim={"visit_type": "pharmacy"}, lines=[{"dispensed_item_code": "Y", "times": 2}])
substituted_lines.fires(1, lines=[{"item_code": "Y", "dispensed_item_code": "X"}, {}])
substituted_lines.quiet(0, lines=[{"dispensed_item_code": "X"}, {}])
substituted_lines.quiet(0, lines=[{}])
substituted_lines.quiet(0, lines=[{"item_code": "Y", "dispensed_item_code": "Y", "quantity": 9.0}])


@signal(
    title={"en": "Amount of the lines against the claim", "zh": "明细合计与总额之比"},
    says={
        "en": "The lines add up to {value:.3f} times the total of the claim.",
        "zh": "明细金额合计为结算总额的{value:.3f}倍。",
    },
    unit="times",
    riskier="either",
    violation="T22",
    national_code="GZ10000201002000",
    cites=["national-rules-2023", "decree-735.40.2"],
    excuses={
        "en": "Rounding, or lines that another payer covers.",
        "zh": "四舍五入,或部分明细由其他渠道支付。",
    },
)
def lines_against_total(claim, lines):
    """Sum of the amounts of the lines over the total amount of the claim.

    Blind spot: lines and total raised together.

    释义:明细金额合计除以结算单总额。
    盲区:明细与总额同时虚增。
    """
    return ratio(lines.amount.sum(), claim.total_amount)


lines_against_total.fires(0.5, lines=[{"unit_price": 500.0}])
lines_against_total.quiet(1, lines=[{"unit_price": 500.0, "times": 2}])
