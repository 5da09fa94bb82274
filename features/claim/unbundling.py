"""One service taken apart, or one thing billed as another: parts of a package, codes that cannot be the patient's."""

from datetime import date, datetime

from fraud.signals import signal


@signal(
    title={"en": "Parts billed instead of the package", "zh": "分解收费:套餐组成项目占比"},
    says={
        "en": "{value:.0%} of the parts of one package are billed singly on one day, and not the package; above "
        "{limit:.0%} it is looked at.",
        "zh": "同日单独收取某套餐{value:.0%}的组成项目而未按套餐收费,超过{limit:.0%}即应核查。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    violation="T08",
    national_code="GZ10000102013000",
    limit="package_share",
    cites=["decree-735.38.3", "national-rules-2023", "ncci"],
    excuses={
        "en": "Each part was needed on its own, ordered at different times.",
        "zh": "各项目均有独立指征并分次开具。",
    },
)
def package_share(lines):
    """Largest share of the parts of one package that the claim bills on one day without the package itself.

    Blind spot: packages that the exclusion table does not hold, and parts spread over several days.

    释义:同日收取某套餐的组成项目、而未收套餐本身时,所收部分的最大占比。
    盲区:互斥表中没有的套餐,以及分散到数日的组成项目。
    """
    return lines.package_share.max()


_PANEL = [{"item_code": "P", "included_item_code": c, "kind": "package_part"} for c in "ABC"]
_PARTS = [{"item_code": c} for c in "ABC"]
package_share.fires(1, lines=_PARTS, exclusions=_PANEL)
_FOUR = [*_PANEL, {**_PANEL[0], "included_item_code": "E"}]
package_share.fires(0.75, lines=_PARTS, exclusions=_FOUR)
# All parts on one day, and the package on the next.
package_share.fires(1, lines=[*_PARTS, {"item_code": "P", "service_at": datetime(2024, 6, 13)}], exclusions=_PANEL)
_TEN = [{"item_code": "P", "included_item_code": c, "kind": "package_part"} for c in "ABCEFGHIJK"]
package_share.quiet(0.7, lines=[{"item_code": c} for c in "ABCEFGH"], exclusions=_TEN)
package_share.quiet(2 / 3, lines=[*_PARTS[:2], {**_PARTS[2], "service_at": datetime(2024, 6, 13)}], exclusions=_PANEL)
# The package was dissolved at the end of last year.
package_share.quiet(0, lines=_PARTS, exclusions=[{**pair, "valid_to": date(2023, 12, 31)} for pair in _PANEL])
package_share.quiet(1 / 3, lines=_PARTS[:1], exclusions=_PANEL)
package_share.quiet(0, lines=[*_PARTS, {"item_code": "P"}], exclusions=_PANEL)
package_share.quiet(0, lines=_PARTS, exclusions=[{**pair, "kind": "included"} for pair in _PANEL])


@signal(
    title={"en": "Mapped items that cannot be the patient's", "zh": "对码后与性别年龄矛盾的项目数"},
    says={
        "en": "{value:.0f} line(s) with an own code of the provider are mapped to an item for another sex or age; "
        "{limit:.0f} is usual.",
        "zh": "{value:.0f}行院内编码项目对码后与患者性别或年龄矛盾,通常为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T11",
    severity="serious",
    limit="mapping_conflicts",
    cites=["decree-735.38.4", "phantom-visit-case"],
    excuses={
        "en": "A wrong sex or date of birth in the register.",
        "zh": "登记性别或出生日期有误。",
    },
)
def mapping_conflicts(lines):
    """Lines with an own code of the provider whose catalogue item is limited to another sex or age.

    A case: ureteroscopy was mapped to hysteroscopy, and men were billed for it. Blind spot: items for everybody.

    释义:使用院内自编码、而对应目录项目限定其他性别或年龄的明细行数。
    盲区:不限人群的项目。
    """
    age = lines.claim_age_years.floor()
    wrong = (lines.sex_limit != lines.claim_patient_sex) | (age < lines.age_min) | (age > lines.age_max)
    return lines.count(where=lines.local_item_code.notnull() & wrong)


_MAN = {"patient_id": "P", "sex": "male"}
_SCOPE = {"item_code": "X", "category": "surgery", "name": "宫腔镜检查"}
_HERS = {**_SCOPE, "sex_limit": "female"}
mapping_conflicts.fires(1, lines=[{"local_item_code": "n12"}], patients=_MAN, catalogue=_HERS)
mapping_conflicts.fires(2, lines=[{"local_item_code": "n12", "times": 2}], patients=_MAN, catalogue=_HERS)
mapping_conflicts.fires(
    1, lines=[{"local_item_code": "n12"}], patients={**_MAN, "sex": "female"}, catalogue={**_HERS, "sex_limit": "male"}
)
mapping_conflicts.quiet(0, lines=[{}], patients=_MAN, catalogue=_HERS)
mapping_conflicts.quiet(0, lines=[{"local_item_code": "n12"}], patients=_MAN, catalogue=_SCOPE)
mapping_conflicts.quiet(0, lines=[{"local_item_code": "n12"}], patients={**_MAN, "sex": "female"}, catalogue=_HERS)
