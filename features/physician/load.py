"""Whether one physician can have done what is billed, and how it compares."""

from fraud.signals import ratio, share, signal

_TEAM = {"en": "Claims of a whole team under the name of its head.", "zh": "以科主任名义汇总的团队工作量。"}


@signal(
    title={"en": "Claims", "zh": "结算单数"},
    says={
        "en": "The physician was in charge of {value:,.0f} claims (peers: {peer_median:,.0f}).",
        "zh": "该医师负责{value:,.0f}张结算单(同专业中位数{peer_median:,.0f}张)。",
    },
    unit="claims",
    riskier="high",
    default=0,
    volume=True,
    peer=True,
    violation="T28",
    cites=["impossible-day"],
    excuses=_TEAM,
)
def claims(window):
    """Claims in the window that name the physician as the one in charge.

    Blind spot: names entered by others.

    释义:窗口内以该医师为主管医师的结算单数。
    盲区:由他人填写的姓名。
    """
    return window.count()


claims.fires(40, window={"times": 40})
claims.quiet(0)


@signal(
    title={"en": "Patients", "zh": "患者人数"},
    says={
        "en": "The physician had {value:,.0f} patients (peers: {peer_median:,.0f}).",
        "zh": "该医师诊治{value:,.0f}名患者(同专业中位数{peer_median:,.0f}名)。",
    },
    unit="patients",
    riskier="high",
    default=0,
    volume=True,
    violation="T28",
    cites=["impossible-day"],
    excuses=_TEAM,
)
def patients(window):
    """Different patients in the window.

    Blind spot: names entered by others.

    释义:窗口内不同患者数。
    盲区:由他人填写的姓名。
    """
    return window.patient_id.nunique()


patients.fires(40, window={"patient_id": "P#", "times": 40})
patients.quiet(1, window={"times": 40})


@signal(
    title={"en": "Claims on the busiest day", "zh": "最忙一日接诊数"},
    says={
        "en": "On the busiest day {value:,.0f} claims began under this name; above {limit:,.0f} is looked at.",
        "zh": "该医师最忙一日接诊{value:,.0f}单,超过{limit:,.0f}单即应核查。",
    },
    unit="claims",
    riskier="high",
    default=0,
    volume=True,
    violation="T28",
    severity="serious",
    limit="daily_claims",
    cites=["decree-735.40.3", "impossible-day"],
    excuses={"en": "Vaccination or screening on one day.", "zh": "集中接种或筛查。"},
)
def busiest_day(by_day):
    """Claims that began on the day with most of them.

    Blind spot: says nothing about how long a visit takes.

    释义:开始就诊最多一日的结算单数。
    盲区:不说明每次就诊的时长。
    """
    return by_day.claims.max()


busiest_day.fires(90, window={"times": 90})
busiest_day.fires(81, window=[{"provider_id": "H", "times": 40}, {"provider_id": "H2", "times": 41}])
busiest_day.fires(85, window=[{"days_ago": 3, "times": 85}, {"days_ago": 4, "times": 20}])
busiest_day.quiet(80, window={"times": 80})
# Many claims, and no day too full.
busiest_day.quiet(45, window=[{"days_ago": d, "times": 45} for d in (3, 4)])
busiest_day.quiet(1, window={})


@signal(
    title={"en": "Staff minutes on the busiest day", "zh": "最忙一日计费时长"},
    says={
        "en": "The services of one day take {value:,.0f} minutes of staff time; above {limit:,.0f} is looked at.",
        "zh": "单日服务项目合计需{value:,.0f}分钟,超过{limit:,.0f}分钟即应核查。",
    },
    unit="minutes",
    riskier="high",
    default=0,
    volume=True,
    violation="T34",
    severity="serious",
    limit="daily_minutes",
    cites=["decree-735.40.3", "impossible-day"],
    excuses={"en": "Assistants who carry out what the physician orders.", "zh": "由助手或护士执行的项目。"},
)
def busiest_day_minutes(by_service_day):
    """Staff minutes of the items served on the day with most of them, on claims that name the physician.

    Blind spot: items without minutes, and staff who help.

    释义:记有该医师的结算单中,服务项目人工时长最多一日的分钟数。
    盲区:没有时长的项目,以及协助的人员。
    """
    return by_service_day.staff_minutes.max()


_VISIT = {"item_code": "X", "minutes": 30.0}
busiest_day_minutes.fires(1200, window={"lines": [{}], "times": 40}, catalogue=_VISIT)
busiest_day_minutes.fires(735, window={"lines": [{"quantity": 24.5}]}, catalogue=_VISIT)
busiest_day_minutes.fires(
    750,
    window=[{"lines": [{}], "times": 13}, {"provider_id": "H2", "lines": [{}], "times": 12}],
    catalogue=_VISIT,
)
busiest_day_minutes.quiet(720, window={"lines": [{}], "times": 24}, catalogue=_VISIT)
busiest_day_minutes.quiet(600, window=[{"lines": [{}], "days_ago": d, "times": 20} for d in (3, 4)], catalogue=_VISIT)
busiest_day_minutes.quiet(0, window={"lines": [{}], "times": 90}, catalogue={"item_code": "X"})
busiest_day_minutes.quiet(30, window={"lines": [{}]}, catalogue=_VISIT)


@signal(
    title={"en": "Claims for each active day", "zh": "日均接诊数"},
    says={
        "en": "On a day with claims {value:.1f} of them begin (peers: {peer_median:.1f}).",
        "zh": "有接诊的日子平均{value:.1f}单(同专业中位数{peer_median:.1f}单)。",
    },
    unit="claims",
    riskier="high",
    volume=True,
    peer=True,
    violation="T28",
    cites=["impossible-day"],
    excuses=_TEAM,
)
def claims_per_day(by_day):
    """Mean claims of a day on which at least one begins.

    Blind spot: says nothing about how long a visit takes.

    释义:有就诊开始之日的平均结算单数。
    盲区:不说明每次就诊的时长。
    """
    return by_day.claims.mean()


claims_per_day.fires(40, window={"times": 40})
claims_per_day.quiet(1, window=[{"days_ago": 3}, {"days_ago": 4}])


_STAY = {"visit_type": "inpatient", "stay_days": 8}


@signal(
    title={"en": "Share of stays that return soon", "zh": "短期内重返占比"},
    says={
        "en": "{value:.1%} of the claims begin soon after a stay of the patient here (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单为患者出院后短期内重返本院(同专业中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    violation="T01",
    cites=["decree-735.38.1"],
    excuses={"en": "Planned cycles of treatment.", "zh": "计划性周期治疗。"},
)
def return_share(window_signals, limits):
    """Share of the claims that begin within `return_days` of the patient's last stay at the same provider.

    Blind spot: stays split between two hospitals that work together.

    释义:距患者在同一机构上次住院不超过`return_days`天的结算单占比。
    盲区:在两家协作医院之间分解的住院。
    """
    return share(window_signals.days_since_stay_here <= limits.return_days)


return_share.fires(0.5, window=[{**_STAY, "days_ago": 60}, {**_STAY, "days_ago": 40}])
return_share.quiet(0, window={**_STAY, "patient_id": "P#", "times": 3})


@signal(
    title={"en": "Concentration on few kinds of case", "zh": "病种集中度"},
    says={
        "en": "Two claims picked at random are of the same kind of case with a chance of {value:.1%} "
        "(peers: {peer_median:.1%}).",
        "zh": "随机两张结算单属同一病种的概率为{value:.1%}(同专业中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="either",
    high=1,
    peer=True,
    violation="T03",
    cites=["decree-735.40.3"],
    excuses={"en": "A narrow specialty.", "zh": "专业方向单一。"},
)
def case_concentration(by_case):
    """Chance that two of the claims have the same kind of visit and ICD category (unbiased Herfindahl index).

    Blind spot: templates that vary the diagnosis.

    释义:任取两张结算单就诊类型与ICD类目相同的概率(无偏赫芬达尔指数)。
    盲区:变换诊断的模板。
    """
    total = by_case.claims.sum()
    return ratio((by_case.claims * (by_case.claims - 1)).sum(), total * (total - 1))


case_concentration.fires(1, window={"times": 4})
case_concentration.quiet(0, window=[{"primary_diagnosis": "I10"}, {"primary_diagnosis": "J18"}])
