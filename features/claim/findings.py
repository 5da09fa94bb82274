"""What the rules say about a claim, taken together."""

from datetime import date

from fraud.signals import signal


@signal(
    title={"en": "Rules of law that hit", "zh": "命中的违规类规则"},
    says={
        "en": "Rules of law that speak against paying this claim as it was billed: {value:.0f}.",
        "zh": "本次结算命中{value:.0f}条违规类规则。",
    },
    unit="rules",
    riskier="high",
    default=0,
    cites=["decree-735.38"],
    excuses={
        "en": "Those of each rule; see its page.",
        "zh": "见各条规则的合理解释。",
    },
)
def violations_found(rules):
    """Rules of the kind `violation` that hit on the claim, each by the limit in force on its day in its region.

    Blind spot: a rule that cannot be evaluated, for want of data, counts as one that did not hit.

    释义:本次结算命中的违规类规则条数,各按当日当地有效限值判断。
    盲区:因缺少数据而无法判断的规则按未命中计。
    """
    return rules.count("violation")


violations_found.fires(1, patients={"patient_id": "P", "died_on": date(2024, 6, 2)})
violations_found.quiet(0, patients={"patient_id": "P", "died_on": date(2024, 6, 12)})
violations_found.quiet(0, claim={"identity_check": "fail"})


@signal(
    title={"en": "Rules that ask for a hearing", "zh": "命中的可疑类规则"},
    says={
        "en": "Rules that find something here to ask the provider about: {value:.0f}.",
        "zh": "本次结算命中{value:.0f}条需机构说明的可疑类规则。",
    },
    unit="rules",
    riskier="high",
    default=0,
    cites=["decree-735.38"],
    excuses={
        "en": "Those of each rule; see its page.",
        "zh": "见各条规则的合理解释。",
    },
)
def suspicions_found(rules):
    """Rules of the kind `suspicion` that hit on the claim, each by the limit in force on its day in its region.

    Blind spot: a rule that cannot be evaluated, for want of data, counts as one that did not hit.

    释义:本次结算命中的可疑类规则条数,各按当日当地有效限值判断。
    盲区:因缺少数据而无法判断的规则按未命中计。
    """
    return rules.count("suspicion")


suspicions_found.fires(1, claim={"identity_check": "fail"})
suspicions_found.quiet(0, claim={"identity_check": "pass"})
suspicions_found.quiet(0, patients={"patient_id": "P", "died_on": date(2024, 6, 2)})
