"""How a provider maps its own codes onto those of the insurance."""

from fraud.signals import signal

# Packs of one drug or article have a code each; a service is one thing.
_PACKED = ("drug", "consumable")


@signal(
    title={"en": "Own services billed under one code", "zh": "多个院内服务项目对应同一医保编码"},
    says={
        "en": "{value:.0f} of the provider's own codes for services share an insurance code with another of its codes; "
        "{limit:.0f} is usual.",
        "zh": "机构有{value:.0f}个院内服务项目编码与其他院内编码对应同一医保编码,通常为{limit:.0f}个。",
    },
    unit="codes",
    riskier="high",
    default=0,
    violation="T11",
    limit="merged_local_codes",
    cites=["decree-735.38.3", "project-document-003"],
    excuses={
        "en": "An old code that was replaced within the period, or branches with lists of their own.",
        "zh": "观察期内院内编码更替,或分院各有编码体系。",
    },
)
def merged_local_codes(window_lines):
    """Own codes for services under an insurance code that another own code stands for as well, less one for each.

    What is mapped together need not be on one claim. Blind spot: a provider that gives the insurance item's own
    code to whatever it maps to it.

    释义:同一医保编码下的诊疗项目院内编码数,每个医保编码减一后合计。
    盲区:把医保项目自身编码用于所对码项目的机构。
    """
    service = window_lines.local_item_code.notnull() & ~window_lines.category.isin(_PACKED)
    mappings = (window_lines.local_item_code + "|" + window_lines.item_code).nunique(where=service)
    return mappings - window_lines.item_code.nunique(where=service)


_SERVICE = [{"item_code": code, "category": "laboratory"} for code in "XY"]
_OWN = [{"lines": [{"item_code": "X", "local_item_code": code}]} for code in "abc"]
merged_local_codes.fires(2, window=_OWN, catalogue=_SERVICE)
merged_local_codes.quiet(0, window=_OWN[:1] * 3, catalogue=_SERVICE)
# Two codes for each of two services; and one code that was split between two.
_SPLIT = [{"lines": [{"item_code": c, "local_item_code": own}]} for c, own in (("X", "a"), ("Y", "a"))]
merged_local_codes.fires(
    2, window=[*_OWN[:2], *({"lines": [{"item_code": "Y", "local_item_code": c}]} for c in "de")], catalogue=_SERVICE
)
merged_local_codes.quiet(0, window=_SPLIT, catalogue=_SERVICE)
merged_local_codes.quiet(0, window={"lines": [{}, {"item_code": "Y"}], "times": 3}, catalogue=_SERVICE)
merged_local_codes.fires(
    1, window=[*_OWN[:2], {"lines": [{"local_item_code": "a", "item_code": "Y"}]}], catalogue=_SERVICE
)
merged_local_codes.quiet(0, window=_OWN, catalogue={**_SERVICE[0], "category": "drug"})
