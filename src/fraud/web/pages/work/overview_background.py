"""What takes longer to work out than a page may: done beside the requests, now and then, and shown with its time."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

from markupsafe import Markup

from fraud.review.cases import Within
from fraud.store.people import LANGUAGES
from fraud.web.pages.frame.desk import desk_of
from fraud.web.pages.frame.rendering import inline_svg
from fraud.web.pages.frame.wording import Words
from fraud.web.pages.work.overview_ahead import Ahead, ahead_of
from fraud.web.pages.work.overview_regions import Regions, region_chart, regions_of
from fraud.web.pages.work.overview_watch import Watch, watch_of

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["MINUTES", "Picture", "Pictures", "picture_of", "pictures_of"]

log = logging.getLogger("fraud.web")
# Minutes for which nothing is worked out again, and seconds that a reader waits where nothing is known at all.
MINUTES, _PATIENCE = 10.0, 0.4
# Different bounds whose pictures are kept.
_MOST_KEPT = 64
# Wide and narrow, by language.
Charts = dict[str, tuple[Markup, Markup]]


@dataclass(frozen=True)
class Picture:
    """What lies ahead, how the model does, and where most is flagged; `at` is when it was worked out."""

    at: datetime
    ahead: Ahead
    watch: Watch
    regions: Regions | None
    charts: Charts


def picture_of(runtime: Runtime, within: Within) -> Picture:
    """The picture as of now; regions beside one another are for those alone who may see all of them."""
    settings = desk_of(runtime).settings
    regions = regions_of(runtime.store, runtime.now()) if within == Within() else None
    return Picture(
        runtime.now(),
        ahead_of(runtime, within),
        watch_of(runtime, within, settings.home, settings.var),
        regions,
        {language: _drawn(regions, Words(language)) for language in LANGUAGES} if regions and regions.shown else {},
    )


def _drawn(regions: Regions, words: Words) -> tuple[Markup, Markup]:
    axis = words("overview.regions_axis")
    overall = words("overview.regions_all", share=words.share(regions.share))
    wide, narrow = (inline_svg(region_chart(regions, axis, overall, slim)) for slim in (False, True))
    return wide, narrow


class Pictures:
    """The latest picture for each bounds, drawn in one thread of its own when somebody looks and it is old."""

    def __init__(self, draw: Callable[[Within], Picture], minutes: float = MINUTES) -> None:
        self._draw, self._seconds = draw, 60 * minutes
        self._pool = ThreadPoolExecutor(1, "fraud-overview")
        self._known: OrderedDict[Within, tuple[float, Picture]] = OrderedDict()
        self._under_way: dict[Within, Future[None]] = {}
        self._lock = threading.Lock()

    def latest(self, within: Within) -> Picture | None:
        """The picture that is known, however old; None where the first one is not ready yet."""
        with self._lock:
            at, known = self._known.get(within, (0.0, None))
            working = self._under_way.get(within)
            if working is None and (known is None or monotonic() - at > self._seconds):
                working = self._under_way[within] = self._pool.submit(self._work, within)
        if known is None and working is not None:
            wait([working], _PATIENCE)
            known = self._known.get(within, (0.0, None))[1]
        return known

    def _work(self, within: Within) -> None:
        try:
            drawn = self._draw(within)
            with self._lock:
                self._known[within] = (monotonic(), drawn)
                self._known.move_to_end(within)
                while len(self._known) > _MOST_KEPT:
                    self._known.popitem(last=False)
        except Exception as error:
            # The page says that there is nothing yet, and the next reader begins anew.
            log.warning("the overview could not be worked out: %s", type(error).__name__)
        finally:
            with self._lock:
                self._under_way.pop(within, None)

    def settled(self) -> None:
        """Wait until nothing is under way."""
        wait(list(self._under_way.values()))


def pictures_of(runtime: Runtime) -> Pictures:
    """The pictures of a runtime, which ends with them; the first who asks begins."""
    kept = vars(runtime)
    found: Pictures = kept.get("pictures") or kept.setdefault("pictures", Pictures(lambda w: picture_of(runtime, w)))
    return found
