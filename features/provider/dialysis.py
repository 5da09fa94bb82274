"""Whether a provider's equipment can have served what it bills."""

from fraud.signals import ratio, signal


@signal(
    title={"en": "Dialysis sessions against stations", "zh": "血透例次与机位负荷之比"},
    says={
        "en": "On the busiest day {value:.0%} of the sessions that the stations can serve were billed; above "
        "{limit:.0%} is impossible without an explanation.",
        "zh": "最忙一日计费血透例次为机位最大负荷的{value:.0%},超过{limit:.0%}即应核查。",
    },
    unit="share",
    riskier="high",
    default=0,
    violation="T33",
    severity="serious",
    limit="station_load",
    cites=["decree-735.40.3", "audit-report-cases"],
    excuses={
        "en": "Stations that were added and are not registered yet, or beds in intensive care.",
        "zh": "新增机位尚未登记,或重症监护床旁透析。",
    },
)
def station_load(by_service_day, provider, limits):
    """Dialysis sessions of the day with most of them, over registered stations times `station_shifts` a day.

    Unknown, and so 0, for a provider without registered stations. Blind spot: phantom sessions within capacity.

    释义:透析例次最多一日的例次,除以登记机位数与每日`station_shifts`班的乘积。
    盲区:未超出机位能力的虚假透析。
    """
    return ratio(by_service_day.dialysis_sessions.max(), provider.stations * limits.station_shifts)


_SESSION = {"lines": [{"item_code": "HD"}]}
_ITEM = {"item_code": "HD", "dialysis": True}
_HOUSE = {"provider_id": "H", "stations": 2}
station_load.fires(1.5, window={**_SESSION, "times": 12}, catalogue=_ITEM, providers=_HOUSE)
station_load.fires(1.125, window={**_SESSION, "times": 9}, catalogue=_ITEM, providers=_HOUSE)
station_load.fires(
    1.25,
    window=[{"lines": [{"item_code": "HD", "quantity": 5.0}], "times": 2}, {**_SESSION, "days_ago": 5, "times": 3}],
    catalogue=_ITEM,
    providers=_HOUSE,
)
station_load.quiet(
    1, window=[{**_SESSION, "days_ago": d, "times": 8} for d in (3, 5)], catalogue=_ITEM, providers=_HOUSE
)
station_load.quiet(0, window={**_SESSION, "times": 12}, catalogue=_ITEM, providers={**_HOUSE, "stations": None})
station_load.quiet(0.375, window={**_SESSION, "times": 3}, catalogue=_ITEM, providers=_HOUSE)
