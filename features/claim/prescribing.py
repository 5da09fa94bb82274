"""Drugs beside drugs: two that do the same, too many on one prescription, boxes without a trace."""

from datetime import datetime

from fraud.signals import signal

_VISITS = ("outpatient", "emergency", "chronic")


@signal(
    title={"en": "Drugs on one prescription", "zh": "单次处方药品种数"},
    says={
        "en": "{value:.0f} different drugs are prescribed at one visit; a prescription holds {limit:.0f} at most.",
        "zh": "一次就诊开具{value:.0f}种药品,每张处方不得超过{limit:.0f}种。",
    },
    unit="drugs",
    riskier="high",
    default=0,
    violation="T16",
    national_code="GZ10000202004000",
    limit="drugs_on_prescription",
    cites=["prescription-rules", "national-rules-2023"],
    excuses={
        "en": "Several diseases, each with a prescription of its own.",
        "zh": "多种疾病分别开具处方。",
    },
)
def drugs_on_prescription(lines):
    """Different drugs billed at one outpatient or emergency visit.

    Blind spot: how many prescriptions the visit had, and one prescription split over two visits.

    释义:一次门诊或急诊结算的不同药品种数。
    盲区:一次就诊的处方张数,以及一张处方分两次就诊开具。
    """
    here = (lines.category == "drug") & lines.claim_visit_type.isin(_VISITS)
    return lines.item_code.collect(where=here).unique().length().fill_null(0)


_DRUGS = [{"item_code": f"X{i}", "category": "drug"} for i in range(8)]
drugs_on_prescription.fires(8, lines=[{"item_code": "X#", "times": 8}], catalogue=_DRUGS)
drugs_on_prescription.fires(
    6, claim={"visit_type": "emergency"}, lines=[{"item_code": "X#", "times": 6}], catalogue=_DRUGS
)
drugs_on_prescription.fires(7, lines=[{"item_code": "X#", "times": 7}, {"item_code": "X1"}], catalogue=_DRUGS)
drugs_on_prescription.quiet(4, lines=[{"item_code": "X#", "times": 4}, {"item_code": "X1"}], catalogue=_DRUGS)
drugs_on_prescription.quiet(
    0, claim={"visit_type": "inpatient"}, lines=[{"item_code": "X#", "times": 8}], catalogue=_DRUGS
)
drugs_on_prescription.quiet(1, lines=[{"item_code": "X1", "times": 8}], catalogue=_DRUGS)


@signal(
    title={"en": "Drugs of the same action", "zh": "同类药品重复开具"},
    says={
        "en": "{value:.0f} drugs of one chemical subgroup (ATC level 4) are dispensed together for days; {limit:.0f} "
        "is usual.",
        "zh": "同一化学亚组(ATC四级)的药品同时开具{value:.0f}种,通常为{limit:.0f}种。",
    },
    unit="drugs",
    version=2,
    riskier="high",
    default=0,
    violation="T14",
    national_code="GZ10000301006000",
    limit="drugs_of_one_class",
    cites=["decree-735.38.2", "national-rules-2023"],
    excuses={
        "en": "A change of drug at this visit, or a combination that guidelines recommend.",
        "zh": "当次换药,或指南推荐的联合用药。",
    },
)
def drugs_of_one_class(lines, limits):
    """Most different drugs of one chemical subgroup on the claim, each for more than a few days; none at a stay.

    Blind spot: drugs of the same action in different subgroups.

    释义:同一化学亚类、各用数日以上的不同药品最多种数;住院不计。
    盲区:分属不同亚类而作用相同的药品。
    """
    lasting = (lines.days_supply > limits.class_overlap_days) & (lines.claim_visit_type != "inpatient")
    most = lines.class_items.max(where=lasting)
    # A drug given for some days beside one for a month counts in the subgroup, and does not last.
    beside = lines.item_code.nunique(where=lasting & (lines.class_items > 1))
    return ((beside > 0) & (beside < most)).ifelse(beside, most)


_STATIN = [
    {"item_code": "X", "category": "drug", "atc": "C10AA05"},
    {"item_code": "Y", "category": "drug", "atc": "C10AA07"},
]
_MONTH = {"days_supply": 28.0}
drugs_of_one_class.fires(2, lines=[_MONTH, {"item_code": "Y", **_MONTH}], catalogue=_STATIN)
drugs_of_one_class.fires(
    2,
    claim={"visit_type": "chronic"},
    lines=[{"days_supply": 8.0}, {"item_code": "Y", "days_supply": 90.0}],
    catalogue=_STATIN,
)
drugs_of_one_class.fires(
    3,
    lines=[{"item_code": c, **_MONTH} for c in "XYZ"],
    catalogue=[*_STATIN, {"item_code": "Z", "category": "drug", "atc": "C10AA01"}],
)
drugs_of_one_class.quiet(1, lines=[_MONTH, {"item_code": "Z", **_MONTH}], catalogue=_STATIN)
# An injection today, the tablets for a month; the same box twice.
drugs_of_one_class.quiet(1, lines=[_MONTH, {"item_code": "Y", "days_supply": 1.0}], catalogue=_STATIN)
drugs_of_one_class.quiet(1, lines=[{"times": 2, **_MONTH}], catalogue=_STATIN)
drugs_of_one_class.quiet(
    0,
    claim={"visit_type": "inpatient", "stay_days": 9},
    lines=[_MONTH, {"item_code": "Y", **_MONTH}],
    catalogue=_STATIN,
)
drugs_of_one_class.quiet(0, lines=[{"days_supply": 3.0}, {"item_code": "Y", "days_supply": 3.0}], catalogue=_STATIN)


def _another(past_lines):
    """Whether the claim at hand bills another drug of an earlier line's chemical subgroup."""
    return (past_lines.now_class_items > 1) | (past_lines.now_class_item != past_lines.item_code)


def _lasting(past_lines, limits):
    """Whether more of an earlier supply is left than a change of drug explains."""
    left = past_lines.days_supply - past_lines.days_ago
    return (
        (left > limits.class_overlap_days) & (past_lines.days_ago >= 0) & (past_lines.claim_visit_type != "inpatient")
    )


@signal(
    title={"en": "Same action as a drug not used up", "zh": "与未用完药品作用重复的次数"},
    says={
        "en": "{value:.0f} earlier supply(ies) here of another drug of the same chemical subgroup are not used up; "
        "{limit:.0f} is usual at most.",
        "zh": "本机构此前开具的同一化学亚组其他药品尚有{value:.0f}次未用完,通常不超过{limit:.0f}次。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T14",
    national_code="GZ10000301006000",
    limit="class_overlaps",
    cites=["decree-735.38.2", "national-rules-2023"],
    excuses={
        "en": "A drug that was not tolerated and was replaced.",
        "zh": "原药不耐受而更换。",
    },
)
def class_overlaps_here(past_lines, limits):
    """Earlier lines at this provider of another drug of a subgroup that this claim bills, with days of supply left.

    Blind spot: combinations that guidelines recommend.

    释义:在本机构开具、尚有余量的同亚类其他药品的既往行数。
    盲区:指南推荐的联合用药。
    """
    same = past_lines.same_provider & _another(past_lines)
    return past_lines.count(where=same & _lasting(past_lines, limits))


_EARLIER = {"days_ago": 5, "lines": [{"item_code": "Y", "days_supply": 28.0}]}
class_overlaps_here.fires(2, lines=[_MONTH], past=[{**_EARLIER, "times": 2}], catalogue=_STATIN)
# Eight days are left; and both drugs again while either of them lasts.
class_overlaps_here.fires(
    2, lines=[_MONTH], past=[{**_EARLIER, "days_ago": d, "physician_id": "D2"} for d in (20, 12)], catalogue=_STATIN
)
class_overlaps_here.fires(
    2,
    lines=[_MONTH, {"item_code": "Y", **_MONTH}],
    past=[{"days_ago": 6, "lines": [_MONTH, {"item_code": "Y", **_MONTH}]}],
    catalogue=_STATIN,
)
# One drug replaced, and seven days left of it.
class_overlaps_here.quiet(1, lines=[_MONTH], past=[_EARLIER], catalogue=_STATIN)
class_overlaps_here.quiet(0, lines=[_MONTH], past=[{**_EARLIER, "days_ago": 21, "times": 3}], catalogue=_STATIN)
class_overlaps_here.quiet(0, lines=[_MONTH], past=[{**_EARLIER, "days_ago": 25}], catalogue=_STATIN)
class_overlaps_here.quiet(0, lines=[{"item_code": "Y", **_MONTH}], past=[_EARLIER], catalogue=_STATIN)


@signal(
    title={"en": "Same action as a drug from elsewhere", "zh": "跨机构重复开具同类药品次数"},
    says={
        "en": "{value:.0f} supply(ies) from other providers of another drug of the same chemical subgroup are not used "
        "up; {limit:.0f} is usual at most.",
        "zh": "其他机构开具的同一化学亚组其他药品尚有{value:.0f}次未用完,通常不超过{limit:.0f}次。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T14",
    severity="serious",
    national_code="GZ10000301006000",
    limit="class_overlaps",
    cites=["decree-735.38.2", "decree-735.38.5", "national-rules-2023"],
    excuses={
        "en": "A specialist who changed the treatment.",
        "zh": "专科医师调整治疗方案。",
    },
)
def class_overlaps_elsewhere(past_lines, limits):
    """Earlier lines at other providers of another drug of a subgroup that this claim bills, with supply left.

    Blind spot: drugs paid in cash.

    释义:在其他机构开具、尚有余量的同亚类其他药品的既往行数。
    盲区:自费购买的药品。
    """
    elsewhere = ~past_lines.same_provider & _another(past_lines)
    return past_lines.count(where=elsewhere & _lasting(past_lines, limits))


class_overlaps_elsewhere.fires(
    2, lines=[_MONTH], past=[{**_EARLIER, "provider_id": "H#", "times": 2}], catalogue=_STATIN
)
_EACH = [{**_EARLIER, "provider_id": f"H{d}", "days_ago": d} for d in (20, 15, 9)]
class_overlaps_elsewhere.fires(3, lines=[_MONTH], past=_EACH, catalogue=_STATIN)
class_overlaps_elsewhere.fires(
    2,
    claim={"visit_type": "pharmacy", "physician_id": None},
    lines=[_MONTH],
    past=[{**row, "visit_type": "pharmacy"} for row in _EACH[:2]],
    catalogue=_STATIN,
)
class_overlaps_elsewhere.quiet(1, lines=[_MONTH], past=[*_EACH[:1], _EARLIER], catalogue=_STATIN)
# A ward gives what the patient has at home.
class_overlaps_elsewhere.quiet(
    0, claim={"visit_type": "inpatient", "stay_days": 5}, lines=[_MONTH], past=_EACH, catalogue=_STATIN
)
class_overlaps_elsewhere.quiet(0, lines=[_MONTH], past=[_EARLIER], catalogue=_STATIN)
class_overlaps_elsewhere.quiet(
    0, lines=[{"item_code": "Z", **_MONTH}], past=[{**_EARLIER, "provider_id": "H2"}], catalogue=_STATIN
)


@signal(
    title={"en": "The same box billed twice", "zh": "同一追溯码重复收费"},
    says={
        "en": "{value:.0f} line(s) carry the trace code of a box that the same claim already bills; {limit:.0f} is "
        "possible.",
        "zh": "{value:.0f}行药品的追溯码在本单中重复出现,应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T12",
    severity="serious",
    limit="repeated_trace_codes",
    cites=["decree-735.38.4", "rules-2026", "trace-code-leads"],
    excuses={
        "en": "A box that was opened and billed by the tablet.",
        "zh": "拆零销售,同一盒分次收费。",
    },
)
def repeated_trace_codes(lines):
    """Lines with a trace code, less the different codes among them.

    Blind spot: codes that another claim has used (see `patient.repeated_trace_codes` and
    `provider.repeated_code_share`).

    释义:有追溯码的明细行数减去不同追溯码数。
    盲区:其他结算单已用过的追溯码(见`patient.repeated_trace_codes`与`provider.repeated_code_share`)。
    """
    return lines.trace_code.count() - lines.trace_code.nunique()


repeated_trace_codes.fires(2, lines=[{"trace_code": "8312", "times": 3}])
repeated_trace_codes.fires(1, lines=[{"trace_code": "8312", "times": 2}, {"trace_code": "8313"}])
repeated_trace_codes.fires(2, lines=[{"trace_code": "8312", "times": 2}, {"trace_code": "8313", "times": 2}])
repeated_trace_codes.quiet(0, lines=[{"trace_code": "8312"}, {"trace_code": "8313"}, {}])
repeated_trace_codes.quiet(0, lines=[{"times": 3}])
repeated_trace_codes.quiet(0, lines=[{"trace_code": "8312"}])


@signal(
    title={"en": "Pharmacy drugs without a trace code", "zh": "药店售药未扫追溯码"},
    says={
        "en": "{value:.0f} drug line(s) of a pharmacy carry no trace code; since July 2025 {limit:.0f} may be settled.",
        "zh": "药店售药有{value:.0f}行无追溯码,2025年7月起应为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T12",
    limit="untraced_drugs",
    cites=["trace-code-2025"],
    excuses={
        "en": "Herbal pieces and small packs that have no code of their own.",
        "zh": "中药饮片及无码小包装。",
    },
)
def untraced_drugs(lines):
    """Lines of drugs on a pharmacy's claim without a trace code.

    Blind spot: codes of other boxes that are scanned instead.

    释义:药店结算单中无追溯码的药品明细行数。
    盲区:改扫其他药盒的追溯码。
    """
    here = (lines.category == "drug") & (lines.claim_visit_type == "pharmacy")
    return lines.count(where=here & lines.trace_code.isnull())


_SHOP = {"visit_type": "pharmacy", "admitted_at": datetime(2025, 8, 1, 10)}
_BOX = {"item_code": "X", "category": "drug"}
untraced_drugs.fires(2, claim=_SHOP, lines=[{"times": 2}, {"trace_code": "8312"}], catalogue=_BOX)
untraced_drugs.fires(1, claim=_SHOP, lines=[{}], catalogue=_BOX)
untraced_drugs.fires(3, claim=_SHOP, lines=[{"times": 3}], catalogue=_BOX)
untraced_drugs.quiet(0, claim=_SHOP, lines=[{"trace_code": "8312"}], catalogue=_BOX)
untraced_drugs.quiet(0, lines=[{}], catalogue=_BOX)
untraced_drugs.quiet(0, claim=_SHOP, lines=[{}], catalogue={**_BOX, "category": "other"})
