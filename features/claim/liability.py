"""Whether somebody else should pay: accidents at work and on the road."""

from fraud.signals import signal

_INJURY = ("S", "T")
# Chapters of external causes behind which somebody else stands: transport (V), machines and falling things
# (W20-W49), assault (X85-Y09). Falls at home, heat and poisons of one's own are left out.
_TRANSPORT = ("V",)
_WORKPLACE = ("W20", "W49")
_ASSAULT = ("X85", "Y09")


@signal(
    title={"en": "Accident paid by the fund", "zh": "外伤由基金支付未说明第三方责任"},
    says={
        "en": "The fund is asked to pay for an injury for which {value:.0f} cause(s) by others are coded; whether "
        "a third party or work-injury insurance is liable must be stated above {limit:.0f}.",
        "zh": "基金支付的外伤病例编有{value:.0f}个损伤外因(超过{limit:.0f}个),应说明是否属第三方责任或工伤。",
    },
    unit="codes",
    riskier="high",
    default=0,
    violation="T20",
    limit="external_causes",
    cites=["insurance-law.30", "rules-2026", "national-rules-2023"],
    excuses={
        "en": "A fall at home: nobody else is liable.",
        "zh": "居家跌倒等无第三方责任的意外。",
    },
)
def external_causes(claim, diagnoses):
    """External causes that name somebody else, beside an injury (S, T), on a claim that the fund is asked to pay.

    Counted are ICD-10 V (transport), W20 to W49 (machines, falling things) and X85 to Y09 (assault).

    Blind spot: injuries without a code of their cause, and a statement that the claims do not carry.

    释义:向基金申请支付的结算单中,与损伤诊断(S、T)并列、指向他人责任的外因编码数:交通事故(V)、机械与坠物(W20至W49)、加害(X85至Y09)。
    盲区:未编外因的损伤,以及结算数据未载的责任说明。
    """
    letter = diagnoses.code.substr(0, 1)
    injuries = diagnoses.count(where=letter.isin(_INJURY))
    cause = diagnoses.code.substr(0, 3)
    liable = letter.isin(_TRANSPORT) | cause.between(*_WORKPLACE) | cause.between(*_ASSAULT)
    causes = diagnoses.count(where=liable)
    return ((injuries > 0) & (claim.fund_amount > 0)).ifelse(causes, 0)


external_causes.fires(1, diagnoses=["S720", "V031"])
external_causes.fires(1, diagnoses=["T149", "W310"])
external_causes.fires(2, diagnoses=["S064", "X990", "V031"])
external_causes.quiet(0, diagnoses=["S720"])
external_causes.quiet(0, claim={"fund_amount": 0.0}, diagnoses=["S720", "V031"])
external_causes.quiet(0, diagnoses=["V4581", "4019"])
external_causes.quiet(0, diagnoses=["S720", "W010"])


@signal(
    title={"en": "Injury diagnoses", "zh": "外伤诊断数"},
    says={
        "en": "The claim lists {value:.0f} diagnosis(es) of injury or poisoning.",
        "zh": "本单列有{value:.0f}个损伤或中毒诊断。",
    },
    unit="codes",
    riskier="either",
    default=0,
    violation="T20",
    cites=["insurance-law.30", "rules-2026"],
    excuses={"en": "Most injuries are nobody else's fault.", "zh": "多数外伤并无第三方责任。"},
)
def injury_diagnoses(diagnoses):
    """Diagnoses of injury and poisoning (ICD-10 S and T).

    Blind spot: injuries coded as the disease that followed.

    释义:损伤与中毒诊断(ICD-10 S、T)数。
    盲区:以继发疾病编码的损伤。
    """
    return diagnoses.count(where=diagnoses.code.substr(0, 1).isin(_INJURY))


injury_diagnoses.fires(2, diagnoses=["S720", "T141", "I10"])
injury_diagnoses.quiet(0, diagnoses=["I10"])
