"""A small town behind a real service, with people of every role: what the tests of pages share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from fraud.claims.folder import ClaimsFolder
from fraud.config import load_settings
from fraud.learning.model import FittedModel
from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Store
from fraud.store.people import People
from fraud.web.access.guard import Guard
from fraud.web.app import build_app
from fraud.web.bodies.faults import checked
from fraud.web.bodies.shapes import ScoreBody, bundle_of
from fraud.web.pages.frame.desk import desk_of
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from tests.access.parts import Clock
from tests.exchange.rooms import listening
from tests.once import once
from tests.pages.tabs import QUIETLY, Tab
from tests.pages.visitors import QUICK, Hamlet, Member, Town, enrolled
from tests.web.client import body
from tests.web.room import write_room

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with its tables: copying it is faster than making them."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    Store(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> tuple[Path, dict[str, Member]]:
    """The home of a hamlet, with a database of a few claims and a person of each role."""
    home = write_room(tmp_path_factory.mktemp("hamlet"))
    shutil.copyfile(empty, home / "hamlet.db")
    with Store(f"sqlite:///{home / 'hamlet.db'}", busy_ms=60_000) as store:
        for n in range(1, 7):
            read = checked(ScoreBody, body(f"c-{n}", patient_id=f"p-{n}", provider_id=f"h-{1 + n % 2}"))
            store.add_claim(bundle_of(read))
        return home, enrolled(People(store.database, Clock(), QUICK))


@pytest.fixture(scope="session")
def two_rules(founded: tuple[Path, dict[str, Member]]) -> ClaimScorer:
    """The scorer of the hamlet."""
    return ClaimScorer(load_catalogue(founded[0] / "features"), None)


@pytest.fixture
def hamlet(tmp_path: Path, founded: tuple[Path, dict[str, Member]], two_rules: ClaimScorer) -> Iterator[Hamlet]:
    """A service of two rules with a few claims and a clock that tests set, in the test's own process."""
    home, members = founded
    shutil.copyfile(home / "hamlet.db", tmp_path / "hamlet.db")
    settings = replace(load_settings({"FRAUD_HOME": str(home)}), workbench={"persons_per_hour": 3})
    clock = Clock()
    with Store(f"sqlite:///{tmp_path / 'hamlet.db'}", busy_ms=60_000) as store:
        runtime = Runtime(store, two_rules.catalogue, two_rules, Models(), now=datetime.now)
        runtime.guard.close()
        runtime.guard = Guard(store, clock=clock)
        desk = desk_of(runtime)
        desk._settings, desk.people._given = settings, QUICK
        with listening(build_app(runtime, Door(seconds=60))) as url:
            yield Hamlet(url, runtime, {r: replace(m, used=set(m.used)) for r, m in members.items()}, clock)
        runtime.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, city: ClaimsFolder) -> Path:
    """A database with the small city's claims, made once in a run."""

    def fill(to: Path) -> None:
        with Store(f"sqlite:///{to / 'town.db'}", busy_ms=60_000) as store:
            store.load_folder(city)

    return once(tmp_path_factory, "town-of-pages", fill) / "town.db"


@pytest.fixture(scope="module")
def town(
    tmp_path_factory: pytest.TempPathFactory, filled: Path, catalogue: Catalogue, claim_model: FittedModel
) -> Iterator[Town]:
    """The service on a port of this machine: the whole catalogue, a model of claims, and a person of each role."""
    home = tmp_path_factory.mktemp("town")
    shutil.copyfile(filled, home / "town.db")
    settings = replace(load_settings({"FRAUD_HOME": str(ROOT)}), var=home, database_url=f"sqlite:///{home / 'town.db'}")
    with Store(settings.database_url, busy_ms=60_000) as store:
        library = {"items": store.table("catalogue"), "exclusions": store.table("exclusions")}
        scorer = ClaimScorer(catalogue, claim_model, **library)
        runtime = Runtime(store, catalogue, scorer, Models({"claim": claim_model}), now=datetime.now)
        desk_of(runtime)._settings = settings
        with listening(build_app(runtime, Door(seconds=60))) as url:
            desk_of(runtime).people._given = QUICK
            yield Town(url, runtime, enrolled(desk_of(runtime).people))
        runtime.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. It ends with the module: other tests need the thread's event loop for themselves."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=QUIETLY)
        yield started
        started.close()


@pytest.fixture
def tab(browser: Browser, town: Town) -> Iterator[Callable[..., Tab]]:
    """Opens tabs: of a role or of nobody, in a language, of a width, with or without scripts."""
    made: list[Tab] = []

    def opened(role: str = "", language: str = "en", width: int = 1280, scripts: bool = True) -> Tab:
        made.append(Tab(browser, town, role, language, width, scripts))
        return made[-1]

    yield opened
    for own in made:
        own.close()
