"""One service taken apart, or one thing billed as another: parts of a package, names and codes that do not match."""

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
package_share.quiet(1 / 3, lines=_PARTS[:1], exclusions=_PANEL)
package_share.quiet(0, lines=[*_PARTS, {"item_code": "P"}], exclusions=_PANEL)
package_share.quiet(0, lines=_PARTS, exclusions=[{**pair, "kind": "included"} for pair in _PANEL])


@signal(
    title={"en": "Names that are not the item's", "zh": "收费名称与医保目录名称不符"},
    says={
        "en": "{value:.0f} line(s) are billed under a name that has nothing in common with the catalogue's; "
        "{limit:.0f} is usual.",
        "zh": "{value:.0f}行收费名称与所对应医保目录名称无共同之处,通常为{limit:.0f}行。",
    },
    unit="lines",
    riskier="high",
    default=0,
    violation="T11",
    limit="foreign_names",
    cites=["decree-735.38.3", "decree-735.38.4", "phantom-visit-case"],
    excuses={
        "en": "A trade name, or another language.",
        "zh": "使用商品名或外文名称。",
    },
)
def foreign_names(lines):
    """Lines whose name and catalogue name begin with nothing that the other one contains.

    A case: ureteroscopy was mapped to hysteroscopy, and men were billed for it. Blind spot: names copied from the
    catalogue.

    释义:收费名称与目录名称的开头互不包含的明细行数。
    盲区:照抄目录的名称。
    """
    billed, listed = lines.item_name, lines.catalogue_name
    shared = billed.contains(listed.substr(0, 2)) | listed.contains(billed.substr(0, 2))
    return lines.count(where=~shared)


_SCOPE = {"item_code": "X", "category": "surgery", "name": "宫腔镜检查"}
foreign_names.fires(1, lines=[{"item_name": "输尿管镜检查"}], catalogue=_SCOPE)
foreign_names.quiet(0, lines=[{"item_name": "经宫腔镜检查(门诊)"}], catalogue=_SCOPE)
foreign_names.quiet(0, lines=[{}], catalogue=_SCOPE)


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

    Blind spot: items for everybody.

    释义:使用院内自编码、而对应目录项目限定其他性别或年龄的明细行数。
    盲区:不限人群的项目。
    """
    age = lines.claim_age_years.floor()
    wrong = (lines.sex_limit != lines.claim_patient_sex) | (age < lines.age_min) | (age > lines.age_max)
    return lines.count(where=lines.local_item_code.notnull() & wrong)


_MAN = {"patient_id": "P", "sex": "male"}
_HERS = {**_SCOPE, "sex_limit": "female"}
mapping_conflicts.fires(1, lines=[{"local_item_code": "n12"}], patients=_MAN, catalogue=_HERS)
mapping_conflicts.fires(2, lines=[{"local_item_code": "n12", "times": 2}], patients=_MAN, catalogue=_HERS)
mapping_conflicts.fires(
    1, lines=[{"local_item_code": "n12"}], patients={**_MAN, "sex": "female"}, catalogue={**_HERS, "sex_limit": "male"}
)
mapping_conflicts.quiet(0, lines=[{}], patients=_MAN, catalogue=_HERS)
mapping_conflicts.quiet(0, lines=[{"local_item_code": "n12"}], patients=_MAN, catalogue=_SCOPE)
mapping_conflicts.quiet(0, lines=[{"local_item_code": "n12"}], patients={**_MAN, "sex": "female"}, catalogue=_HERS)
