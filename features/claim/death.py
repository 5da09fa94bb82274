"""Care that is billed for somebody who had died."""

from datetime import date

from fraud.signals import days_between, signal


@signal(
    title={"en": "Days after death", "zh": "死亡后就诊天数"},
    says={
        "en": "The care began {value:.0f} days after the patient's registered death; {limit:.0f} is the most possible.",
        "zh": "就诊开始于患者登记死亡后第{value:.0f}天,至多应为{limit:.0f}天。",
    },
    unit="days",
    riskier="high",
    default=0,
    violation="T39",
    kind="violation",
    severity="critical",
    limit="days_after_death",
    cites=["decree-735.40.3", "decree-735.41", "weihai-model"],
    excuses={
        "en": "A wrong date in the death register, or two persons mixed up.",
        "zh": "死亡登记日期有误,或人员信息混淆。",
    },
)
def days_after_death(claim):
    """Days from the registered death to the start of the care; 0 for a living patient.

    Blind spot: deaths that are registered late.

    释义:登记死亡日至就诊开始日的天数;在世者为0。
    盲区:死亡登记滞后。
    """
    late = days_between(claim.admitted_at, claim.patient_died_on)
    return (late > 0).ifelse(late, 0)


days_after_death.fires(10, patients={"patient_id": "P", "died_on": date(2024, 6, 2)})
days_after_death.quiet(0, patients={"patient_id": "P", "died_on": date(2024, 6, 12)})
days_after_death.fires(1, patients={"patient_id": "P", "died_on": date(2024, 6, 11)})
days_after_death.fires(
    377, claim={"visit_type": "inpatient", "stay_days": 4}, patients={"patient_id": "P", "died_on": date(2023, 6, 1)}
)
days_after_death.quiet(0, patients={"patient_id": "P"})
days_after_death.quiet(
    0, claim={"visit_type": "inpatient", "stay_days": 9}, patients={"patient_id": "P", "died_on": date(2024, 6, 15)}
)
