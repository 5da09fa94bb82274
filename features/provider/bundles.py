"""Bills that are copies of each other, and services that are billed together more often than anywhere else."""

from fraud.signals import ratio, signal

_PROGRAMME = {
    "en": "A screening programme or a clinical pathway with a fixed list.",
    "zh": "体检项目或固定清单的临床路径。",
}


def _stays(bundles):
    return bundles.claims.sum(where=bundles.visit_type == "inpatient")


@signal(
    title={"en": "Stays with identical bills", "zh": "住院清单雷同占比"},
    says={
        "en": "{value:.1%} of the stays have the same items at the same amount as stays of other patients "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的住院清单与其他患者的项目和金额完全相同(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    total=_stays,
    violation="T03",
    severity="serious",
    cites=["decree-735.40.2", "decree-735.40.3", "audit-report-cases"],
    excuses=_PROGRAMME,
)
def identical_stay_share(bundles):
    """Share of the stays whose bill equals that of another patient's stay here.

    Bills are alike with the same first and last code, number of lines and of items, and amount. Blind spot:
    copies in which one line was changed.

    释义:清单与本院另一患者住院清单相同的住院占比。
    盲区:改动一行的复制清单。
    """
    stays = bundles.visit_type == "inpatient"
    copies = bundles.claims.sum(where=stays & (bundles.patients > 1)).fill_null(0)
    return ratio(copies, bundles.claims.sum(where=stays))


_BILL = [{"item_code": "A", "quantity": 2.0}, {"item_code": "B"}]
_STAY = {"visit_type": "inpatient", "stay_days": 3, "lines": _BILL}
identical_stay_share.fires(0.75, window=[{**_STAY, "patient_id": "P#", "times": 3}, {**_STAY, "lines": _BILL[:1]}])
identical_stay_share.quiet(0, window=[{**_STAY, "lines": _BILL[:1]}, {**_STAY, "patient_id": "P1"}])
identical_stay_share.quiet(None, window={"lines": _BILL})


@signal(
    title={"en": "Patients with one and the same bill", "zh": "同一清单的患者人数"},
    says={
        "en": "{value:.0f} patients have one and the same bill of several services (peers: {peer_median:.0f}).",
        "zh": "{value:.0f}名患者的多项目费用清单完全一致(同类机构中位数{peer_median:.0f}名)。",
    },
    unit="patients",
    riskier="high",
    default=0,
    volume=True,
    peer=True,
    violation="T34",
    cites=["decree-735.38.2", "decree-735.40.3"],
    excuses=_PROGRAMME,
)
def identical_bill_patients(bundles, limits):
    """Patients of the most frequent bill of at least `bundle_lines` lines.

    Blind spot: grows with the number of claims; copies in which one line was changed.

    释义:使用最多的同一清单(至少`bundle_lines`行)的患者数。
    盲区:随结算单数增长;改动一行的复制清单。
    """
    return bundles.patients.max(where=bundles.bill_lines >= limits.bundle_lines)


_THERAPY = [{"item_code": c} for c in "ABCDE"]
identical_bill_patients.fires(12, window={"patient_id": "P#", "lines": _THERAPY, "times": 12})
identical_bill_patients.quiet(0, window={"patient_id": "P#", "lines": _THERAPY[:2], "times": 12})


@signal(
    title={"en": "Services billed together", "zh": "项目同开倍数"},
    says={
        "en": "Two services are billed together {value:.1f} times as often as usual; above {limit:.1f} times is "
        "looked at (peers: {peer_median:.1f}).",
        "zh": "某两项目同单收费的频率为通常的{value:.1f}倍,超过{limit:.1f}倍即应核查(同类中位数{peer_median:.1f}倍)。",
    },
    unit="times",
    riskier="high",
    default=1,
    peer=True,
    violation="T08",
    national_code="GZ10000102013000",
    limit="pair_lift",
    cites=["decree-735.38.3", "ncci"],
    excuses={"en": "A speciality in which the two belong together.", "zh": "专科诊疗中两项目确需同时开展。"},
)
def pair_lift(item_pairs, limits):
    """Largest ratio of the share of claims with one service that have another too, to that share everywhere.

    Pairs with fewer than `pair_claims` claims do not count. Blind spot: parts that everybody bills apart.

    释义:收取某项目的结算单又收取另一项目的占比,与各处该占比的最大比值。
    盲区:人人都分开收费的组成项目。
    """
    own = ratio(item_pairs.pair_claims, item_pairs.claims)
    # A pair that is almost never seen elsewhere is set against one claim in fifty.
    usual = (item_pairs.usual_share > limits.pair_floor).ifelse(item_pairs.usual_share, limits.pair_floor)
    return ratio(own, usual).max(where=item_pairs.pair_claims >= limits.pair_claims)


_ITEMS = [{"item_code": "A", "category": "laboratory"}, {"item_code": "B", "category": "laboratory"}]
_USUAL = {"domain": "pair", "code": "A|B", "share": 0.1}
_BOTH = {"lines": [{"item_code": "A"}, {"item_code": "B"}]}
pair_lift.fires(10, window={**_BOTH, "times": 30}, catalogue=_ITEMS, norms=_USUAL)
_ALONE = {"lines": [{"item_code": "A"}]}
pair_lift.fires(4, window=[{**_BOTH, "times": 20}, {**_ALONE, "times": 30}], catalogue=_ITEMS, norms=_USUAL)
# A pair that others bill once in a thousand claims is set against one in fifty.
pair_lift.fires(
    12.5,
    window=[{**_BOTH, "times": 20}, {**_ALONE, "times": 60}],
    catalogue=_ITEMS,
    norms={**_USUAL, "share": 0.001},
)
pair_lift.quiet(
    3, window=[{**_BOTH, "times": 30}, {**_ALONE, "times": 20}], catalogue=_ITEMS, norms={**_USUAL, "share": 0.2}
)
# One claim fewer than counts; and drugs, which are prescribed together for good reasons.
pair_lift.quiet(1, window={**_BOTH, "times": 19}, catalogue=_ITEMS, norms=_USUAL)
pair_lift.quiet(
    1, window={**_BOTH, "times": 30}, catalogue=[{**item, "category": "drug"} for item in _ITEMS], norms=_USUAL
)
pair_lift.quiet(1, window={**_BOTH, "times": 5}, catalogue=_ITEMS, norms=_USUAL)
