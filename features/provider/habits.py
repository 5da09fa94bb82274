"""How often a provider's claims break the rules that each claim is judged by."""

from datetime import datetime

from fraud.signals import share, signal


def _claims(window_signals):
    return window_signals.count()


@signal(
    title={"en": "Units beyond the daily limit", "zh": "超限定数量收费占比"},
    says={
        "en": "{value:.1%} of the claims bill more units of an item in a day than its limit allows (peers: "
        "{peer_median:.1%}).",
        "zh": "{value:.1%}的结算单单日收费数量超过限定(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T10",
    cites=["decree-735.38.3"],
    excuses={"en": "Limits that differ for intensive care.", "zh": "重症监护限定不同。"},
)
def excess_units_share(window_signals, limits):
    """Share of the claims with an item billed above its limit for a day.

    Blind spot: limits that the library of items lacks.

    释义:有项目超过单日限定数量的结算单占比。
    盲区:项目库未载明的限定。
    """
    return share(window_signals.units_over_limit > limits.units_over_limit)


_UNITS = {"item_code": "A", "max_per_day": 2.0}
excess_units_share.fires(0.5, window=[{"lines": [{"item_code": "A", "quantity": 9.0}]}, {}], catalogue=_UNITS)
excess_units_share.quiet(0, window={"lines": [{"item_code": "A"}]}, catalogue=_UNITS)


@signal(
    title={"en": "Mapped items that cannot be the patient's", "zh": "对码矛盾占比"},
    says={
        "en": "{value:.1%} of the claims map an own item to one that cannot be the patient's (peers: "
        "{peer_median:.1%}).",
        "zh": "{value:.1%}的结算单对码后项目与患者性别或年龄矛盾(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T11",
    cites=["decree-735.38.3"],
    excuses={"en": "A mapping that was taken over from an old system.", "zh": "沿用旧系统对码表。"},
)
def mapping_conflict_share(window_signals, limits):
    """Share of the claims with a mapped item that is limited to another sex or age.

    Blind spot: items for everybody.

    释义:有对码项目限定其他性别或年龄的结算单占比。
    盲区:不限人群的项目。
    """
    return share(window_signals.mapping_conflicts > limits.mapping_conflicts)


_HERS = {"item_code": "X", "name": "宫腔镜检查", "sex_limit": "female"}
_MAPPED = {"lines": [{"local_item_code": "n12", "item_name": "输尿管镜检查"}]}
mapping_conflict_share.fires(0.5, window=[_MAPPED, {}], patients={"patient_id": "P", "sex": "male"}, catalogue=_HERS)
mapping_conflict_share.quiet(0, window=_MAPPED, patients={"patient_id": "P", "sex": "female"}, catalogue=_HERS)


@signal(
    title={"en": "Goods other than billed", "zh": "串换占比"},
    says={
        "en": "{value:.1%} of the claims were handed other goods than were billed (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单所发药品耗材与所收费不符(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T12",
    cites=["decree-735.38.4"],
    excuses={"en": "A substitute during a shortage, recorded late.", "zh": "缺货期间替代,补录滞后。"},
)
def substituted_share(window_signals, limits):
    """Share of the claims with a line whose goods differ from what is billed.

    Blind spot: goods that nobody scans.

    释义:有明细实际发放与收费不一致的结算单占比。
    盲区:无人扫码的物品。
    """
    return share(window_signals.substituted_lines > limits.substituted_lines)


substituted_share.fires(0.5, window=[{"lines": [{"dispensed_item_code": "Y"}]}, {}])
substituted_share.quiet(0, window={"lines": [{"dispensed_item_code": "X"}]})


@signal(
    title={"en": "Supplies beyond the limit", "zh": "超量开药占比"},
    says={
        "en": "{value:.1%} of the claims prescribe for longer than is allowed (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单开药天数超过规定(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T13",
    cites=["decree-735.38.2"],
    excuses={
        "en": "Long prescriptions under a local rule for the stable ill.",
        "zh": "按当地长处方规定为病情稳定患者开药。",
    },
)
def long_supply_share(window_signals, limits):
    """Share of the claims with a drug for more days than its limit.

    Blind spot: limits that the library of items lacks.

    释义:有药品开药天数超过上限的结算单占比。
    盲区:项目库未载明的上限。
    """
    return share(window_signals.supply_over_limit > limits.supply_over_limit)


_DRUG = {"item_code": "X", "category": "drug", "max_days_supply": 30.0, "atc": "C10AA05"}
long_supply_share.fires(0.5, window=[{"lines": [{"days_supply": 90.0}]}, {}], catalogue=_DRUG)
long_supply_share.quiet(0, window={"lines": [{"days_supply": 30.0}]}, catalogue=_DRUG)


@signal(
    title={"en": "Drugs of the same action", "zh": "同类药重叠占比"},
    says={
        "en": "{value:.1%} of the claims bill drugs of the same action at once, or one whose likes are not used "
        "up (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单同时开具作用相同的药品,或前次同类药尚未用完(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T14",
    cites=["decree-735.38.2"],
    excuses={"en": "A change of therapy that is carried out step by step.", "zh": "换药过渡期。"},
)
def overlapping_class_share(window_signals, limits):
    """Share of the claims with several drugs of one subgroup, or one of it while another from here lasts.

    Blind spot: drugs without a class.

    释义:同单有同亚类多种药品,或本处同亚类药品尚有余量又开药的结算单占比。
    盲区:没有分类的药品。
    """
    found = window_signals.class_overlaps_here > limits.class_overlaps
    found = found | (window_signals.drugs_of_one_class > limits.drugs_of_one_class)
    return share(found)


_LIKE = [_DRUG, {**_DRUG, "item_code": "Y", "atc": "C10AA01"}]
_SUPPLY = {"lines": [{"item_code": "Y", "days_supply": 30.0}]}
overlapping_class_share.fires(
    0.25,
    window=[{**_SUPPLY, "days_ago": 30, "times": 3}, {"lines": [{"days_supply": 30.0}], "days_ago": 25}],
    catalogue=_LIKE,
)
overlapping_class_share.quiet(
    0, window=[{**_SUPPLY, "days_ago": 70}, {"lines": [{"days_supply": 30.0}], "days_ago": 25}], catalogue=_LIKE
)


@signal(
    title={"en": "Examinations repeated soon", "zh": "短期重复检查占比"},
    says={
        "en": "{value:.1%} of the claims repeat an examination done a few days ago (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单短期内重复同一检查(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T15",
    cites=["decree-735.38.2"],
    excuses={"en": "Control of a finding or of an operation.", "zh": "术后或病情变化复查。"},
)
def repeated_exam_share(window_signals, limits):
    """Share of the claims with an examination that was done shortly before.

    Blind spot: examinations done abroad.

    释义:有短期内重复检查的结算单占比。
    盲区:在境外做的检查。
    """
    return share(window_signals.repeated_exams > limits.repeated_exams)


_EXAM = {"item_code": "X", "category": "examination"}
repeated_exam_share.fires(
    0.5,
    window=[{"lines": [{}], "days_ago": 30, "times": 6}, {"lines": [{}], "days_ago": 25, "times": 6}],
    catalogue=_EXAM,
)
repeated_exam_share.quiet(0, window=[{"lines": [{}], "days_ago": d} for d in (30, 200)], catalogue=_EXAM)


@signal(
    title={"en": "Charges moved out of stays", "zh": "住院费用转嫁占比"},
    says={
        "en": "{value:.1%} of the claims come with outpatient charges of the same hospital in the stay or just before "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单住院期间或入院前在本院另有门诊收费(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T18",
    cites=["causes-35"],
    excuses={"en": "An emergency visit that led to the stay.", "zh": "急诊后转住院。"},
)
def pre_stay_charge_share(window_signals, limits):
    """Share of the claims with outpatient charges here in or just before the stay.

    Blind spot: charges that the patient pays alone.

    释义:住院期间或入院前夕在本院有门诊费用的结算单占比。
    盲区:患者全额自付的费用。
    """
    return share(window_signals.charges_around_stay > limits.charges_around_stay)


_WARD = {"visit_type": "inpatient", "stay_days": 8, "days_ago": 30}
pre_stay_charge_share.fires(0.5, window=[_WARD, {"days_ago": 32, "total_amount": 2600.0}])
pre_stay_charge_share.quiet(0, window=[_WARD, {"days_ago": 60, "total_amount": 2600.0}])


@signal(
    title={"en": "Items outside the scope of payment", "zh": "超支付范围占比"},
    says={
        "en": "{value:.1%} of the claims charge the fund for an item that it does not pay for in this case (peers: "
        "{peer_median:.1%}).",
        "zh": "{value:.1%}的结算单将不属于支付范围的项目纳入结算(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T19",
    cites=["decree-735.38.6"],
    excuses={"en": "A diagnosis that was left out of the list.", "zh": "漏填支持用药的诊断。"},
)
def outside_scope_share(window_signals, limits):
    """Share of the claims that charge the fund for what is outside the scope or without an indication.

    Blind spot: indications that the library of items lacks.

    释义:以范围外项目或无适应症项目向基金收费的结算单占比。
    盲区:项目库未载明的适应症。
    """
    found = window_signals.paid_outside_scope > limits.rounding
    found = found | (window_signals.items_without_indication > limits.unindicated_lines)
    found = found | (window_signals.drugs_without_indication > limits.unindicated_lines)
    return share(found)


_OUTSIDE = {"item_code": "X", "category": "drug", "class": "C"}
outside_scope_share.fires(0.5, window=[{"lines": [{"unit_price": 500.0}]}, {}], catalogue=_OUTSIDE)
outside_scope_share.quiet(0, window={"lines": [{"unit_price": 500.0}]}, catalogue={**_OUTSIDE, "class": "B"})


@signal(
    title={"en": "Accidents paid by the fund", "zh": "外伤由基金支付占比"},
    says={
        "en": "{value:.1%} of the claims name an accident for which a third party may be liable (peers: "
        "{peer_median:.1%}).",
        "zh": "{value:.1%}的结算单诊断提示可能应由第三方负担(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T20",
    cites=["decree-735.41"],
    excuses={"en": "Accidents without anybody else at fault.", "zh": "无第三方责任的意外伤害。"},
)
def accident_share(window_signals, limits):
    """Share of the claims with an external cause that a third party may have to pay for.

    Blind spot: accidents coded as illness.

    释义:有外因编码、可能由第三方负担的结算单占比。
    盲区:编为疾病的意外伤害。
    """
    return share(window_signals.external_causes > limits.external_causes)


accident_share.fires(0.5, window=[{"diagnoses": ["S720", "V031"]}, {}])
accident_share.quiet(0, window={"diagnoses": ["S720"]})


@signal(
    title={"en": "Examinations without a report", "zh": "有收费无报告占比"},
    says={
        "en": "{value:.1%} of the claims charge an examination without a report (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单检查收费而无报告(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T31",
    cites=["decree-735.40.3"],
    excuses={"en": "Reports kept in a system that is not connected.", "zh": "报告存于未联网系统。"},
)
def unreported_exam_share(window_signals, limits):
    """Share of the claims with a billed examination that has no report in time.

    Blind spot: reports that are copied.

    释义:有检查收费而未按时出报告的结算单占比。
    盲区:复制的报告。
    """
    return share(window_signals.unreported_exams > limits.unreported_exams)


unreported_exam_share.fires(0.5, window=[{"lines": [{}]}, {}], catalogue=_EXAM)
unreported_exam_share.quiet(
    0, window={"lines": [{"reported_at": datetime(2024, 6, 1, 12, 0)}], "days_ago": 30}, catalogue=_EXAM
)


@signal(
    title={"en": "Home care during stays", "zh": "住院期间上门护理占比"},
    says={
        "en": "{value:.1%} of the claims bill home care while the person was in hospital (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单参保人住院期间仍结算上门护理(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T35",
    cites=["rules-2026"],
    excuses={"en": "Care on the day of admission or discharge.", "zh": "入院或出院当日。"},
)
def care_during_stay_share(window_signals, limits):
    """Share of the claims for home care while the person was in hospital.

    Blind spot: hours that nobody worked.

    释义:住院期间上门护理的结算单占比。
    盲区:无人实际提供的护理时数。
    """
    return share(window_signals.care_during_stay > limits.overlapping_stays)


_HOME = {"visit_type": "long_term_care", "stay_days": 20, "days_ago": 40}
_HOSPITAL = {"patient_id": "P", "visit_type": "inpatient", "stay_days": 5}
care_during_stay_share.fires(1, window=_HOME, others={**_HOSPITAL, "days_ago": 42})
care_during_stay_share.quiet(0, window=_HOME, others={**_HOSPITAL, "days_ago": 60})


@signal(
    title={"en": "Charges billed on two claims", "zh": "两单重复收费占比"},
    says={
        "en": "{value:.1%} of the claims charge what another claim of the day has (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单同日另一结算单已收取相同费用(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T07",
    cites=["decree-735.38.3"],
    excuses={"en": "A repeated measurement in two departments.", "zh": "两个科室分别检测。"},
)
def second_bill_share(window_signals, limits):
    """Share of the claims with a charge that another claim of the patient and day has.

    Blind spot: copies on another day.

    释义:有费用与患者同日另一结算单重复的结算单占比。
    盲区:改记到其他日期的重复收费。
    """
    return share(window_signals.billed_on_other_claim > limits.billed_on_other_claim)


second_bill_share.fires(0.5, window=[{"lines": [{}], "hour": 8}, {"lines": [{}], "hour": 10}])
second_bill_share.quiet(0, window=[{"lines": [{}], "days_ago": 20}, {"lines": [{}]}])


@signal(
    title={"en": "Second operations at full price", "zh": "二次手术全价收费占比"},
    says={
        "en": "{value:.1%} of the claims charge a second operation through the same incision in full (peers: "
        "{peer_median:.1%}).",
        "zh": "{value:.1%}的结算单同切口第二手术按全价收费(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T09",
    cites=["decree-735.38.3"],
    excuses={"en": "Operations through two incisions.", "zh": "经不同切口的手术。"},
)
def full_price_operation_share(window_signals, limits):
    """Share of the claims with a second operation charged in full.

    Blind spot: incisions are not on the claim.

    释义:第二项手术全价收费的结算单占比。
    盲区:结算数据不含切口信息。
    """
    return share(window_signals.full_price_operations > limits.full_price_operations)


_OPERATION = {"item_code": "X", "category": "surgery", "price_cap": 1000.0}
full_price_operation_share.fires(
    0.5, window=[{"lines": [{"unit_price": 1000.0, "times": 3}]}, {}], catalogue=_OPERATION
)
full_price_operation_share.quiet(0, window={"lines": [{"unit_price": 1000.0}]}, catalogue=_OPERATION)


@signal(
    title={"en": "Parts billed instead of the package", "zh": "分解收费占比"},
    says={
        "en": "{value:.1%} of the claims bill the parts of a package one by one (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单将打包项目分解收费(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T08",
    cites=["decree-735.38.3"],
    excuses={"en": "Single parts that were really wanted.", "zh": "临床仅需其中部分项目。"},
)
def part_billing_share(window_signals, limits):
    """Share of the claims that bill most parts of a package instead of it.

    Blind spot: packages that the library of items lacks.

    释义:收取套餐多数组成项目而不收套餐的结算单占比。
    盲区:项目库未载明的套餐。
    """
    return share(window_signals.package_share > limits.package_share)


_PANEL = [{"item_code": "PP", "included_item_code": c, "kind": "package_part"} for c in "ABC"]
part_billing_share.fires(0.5, window=[{"lines": [{"item_code": c} for c in "ABC"]}, {}], exclusions=_PANEL)
part_billing_share.quiet(0, window={"lines": [{"item_code": "A"}]}, exclusions=_PANEL)
