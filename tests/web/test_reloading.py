"""Another champion, and another catalogue, while claims are answered."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fraud.config import Settings, load_settings
from fraud.errors import SpecError
from fraud.learning.model import FittedModel
from fraud.learning.tracking import client_of
from fraud.signals.catalogue import load_catalogue
from fraud.web.app import build_app
from fraud.web.running.reloading import Reloader, files_of
from fraud.web.running.runtime import Runtime, open_runtime
from tests.learning.town import write_room
from tests.once import once
from tests.web.client import Client, body
from tests.web.models import NAMES, small_model

NAME = "claim_risk"


@dataclass(frozen=True)
class Home:
    """A home of one's own, with three registered versions of which the first is champion."""

    folder: Path

    @property
    def settings(self) -> Settings:
        return load_settings({"FRAUD_HOME": str(self.folder)})

    def point(self, version: int, alias: str = "champion") -> None:
        client_of(self.settings.tracking_uri).set_registered_model_alias(NAME, alias, str(version))

    def change(self, before: str, after: str) -> None:
        """Change the signals of claims, as an editor would."""
        file = self.folder / "features" / "claim" / "amounts.py"
        text = file.read_text("utf-8")
        assert before in text
        file.write_text(text.replace(before, after), "utf-8")
        # A file system may tell time in ticks that are longer than a test.
        os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns + 1_000_000_000))


def register(home: Home, model: FittedModel) -> None:
    """Register a version that has a model's own files, and nothing else of what a training leaves."""
    client = client_of(home.settings.tracking_uri)
    if not client.search_registered_models():
        client.create_registered_model(NAME)
    files = home.settings.var / "versions" / model.digest.removeprefix("sha256:")
    model.save(files / "data" / "fitted")
    client.create_model_version(NAME, files.as_uri())


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three versions of a small model of claims; the last was fitted on another catalogue."""

    def fill(to: Path) -> None:
        room = write_room(to / "features")
        (to / "fraud.toml").write_text(f'[service]\nclaim_model = "{NAME}"\nreload_seconds = 0\n', "utf-8")
        (to / "var").mkdir()
        own = {i: room.digests[i] for i in NAMES}
        for number, digests in ((1, own), (2, own), (3, {**own, "claim.amount": "sha256:another"})):
            model = small_model(room, number, "champion", 1)
            register(Home(to), replace(model, signal_digests=digests, version=None, alias=None))
        Home(to).point(1)

    return once(tmp_path_factory, "registered", fill)


@pytest.fixture
def home(registered: Path, tmp_path: Path) -> Home:
    """The home, to change at will; its registry still says where the first one keeps its files."""
    shutil.copytree(registered, tmp_path / "home", ignore=shutil.ignore_patterns("versions"))
    return Home(tmp_path / "home")


@pytest.fixture
def runtime(home: Home) -> Iterator[Runtime]:
    opened = open_runtime(home.settings)
    yield opened
    opened.close()


def look(runtime: Runtime) -> bool:
    assert runtime.reloader is not None
    return runtime.reloader.look(runtime)


def version(runtime: Runtime) -> int | None:
    assert runtime.scorer.model is not None
    return runtime.scorer.model.version


def test_a_start_asks_the_registry_only_for_what_has_changed_there(
    home: Home, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the registry was asked")

    with monkeypatch.context() as patch:
        patch.setattr("fraud.learning.tracking.client_of", refuse)
        again = open_runtime(home.settings)
        assert (version(again), look(again), again.ready()) == (1, False, True)
        again.close()
    home.point(2)
    third = open_runtime(home.settings)
    assert version(third) == 2
    third.close()


def test_nothing_new_changes_nothing(runtime: Runtime) -> None:
    before = runtime.scorer
    assert [look(runtime), look(runtime)] == [False, False]
    assert runtime.scorer is before


def test_a_moved_alias_brings_the_version_into_force_without_a_failed_request(home: Home, runtime: Runtime) -> None:
    client, stop = Client(build_app(runtime)), threading.Event()
    seen: list[tuple[int, int]] = []

    def ask() -> None:
        while not stop.is_set():
            answers = client.together(*[("POST", "/v1/claims/score", {"json": body(f"c-{n}")}) for n in range(4)])
            seen.extend((a.status_code, a.json()["model"]["version"]) for a in answers)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        while len(seen) < 20 and not asking.done():
            pass
        home.point(2)
        changed = look(runtime)
        until = len(seen) + 20
        while len(seen) < until and not asking.done():
            pass
        stop.set()
        asking.result(60)
    client.close()
    assert changed
    versions = [v for _, v in seen]
    assert {status for status, _ in seen} == {200}
    assert (versions[0], versions[-1]) == (1, 2)
    assert versions == sorted(versions)


def test_the_thread_looks_by_itself_and_ends_with_the_service(home: Home) -> None:
    (home.folder / "fraud.toml").write_text(f'[service]\nclaim_model = "{NAME}"\nreload_seconds = 0.05\n', "utf-8")
    runtime = open_runtime(home.settings)
    home.point(2)
    moved = threading.Event()
    for _ in range(600):
        if version(runtime) == 2 or moved.wait(0.05):
            break
    assert version(runtime) == 2
    runtime.close()
    assert "fraud-reload" not in {t.name for t in threading.enumerate()}


def test_a_model_that_is_taken_away_leaves_the_rules_and_one_that_comes_is_taken(home: Home, runtime: Runtime) -> None:
    client_of(home.settings.tracking_uri).delete_registered_model_alias(NAME, "champion")
    assert look(runtime)
    assert runtime.scorer.model is None
    home.point(2)
    assert look(runtime)
    assert version(runtime) == 2


def test_a_model_of_another_catalogue_is_refused_and_the_one_before_goes_on(
    home: Home, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    before = runtime.scorer
    home.point(3)
    client = Client(build_app(runtime))
    with caplog.at_level(logging.ERROR, "fraud.web"):
        assert [look(runtime), look(runtime)] == [False, False]
        assert "claim.amount has changed" in client.get("/v1/model").json()["refused"]["claim"]
    assert len([r for r in caplog.records if "not brought into force" in r.message]) == 1
    assert (runtime.scorer, runtime.ready()) == (before, True)
    home.point(1)
    look(runtime)
    assert client.get("/v1/model").json()["refused"] == {}
    client.close()


def test_a_changed_sentence_comes_into_force_and_the_model_stays(home: Home, runtime: Runtime) -> None:
    model = runtime.scorer.model
    home.change('T = {"en": "{value}"', 'T = {"en": "{value} billed"')
    assert look(runtime)
    assert runtime.scorer.model is model
    assert "billed" in str(runtime.scorer.catalogue["claim.amount"].title)
    assert runtime.catalogue is runtime.scorer.catalogue


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("return claim.total_amount", "return claim.total_amount * 2", "has changed"),
        ("def amount", "def def", "loaded"),
    ],
)
def test_a_catalogue_that_the_model_in_force_does_not_fit_or_that_is_broken_is_refused(
    home: Home, runtime: Runtime, before: str, after: str, said: str
) -> None:
    catalogue = runtime.catalogue
    home.change(before, after)
    assert not look(runtime)
    assert said in runtime.refused["catalogue"]
    assert (runtime.catalogue, runtime.ready()) == (catalogue, True)
    home.change(after, before)
    look(runtime)
    assert runtime.refused == {}


def test_a_shadow_is_followed_too(home: Home, runtime: Runtime) -> None:
    assert runtime.shadow is None
    home.point(2, "shadow")
    assert look(runtime)
    assert runtime.shadow is not None
    assert (version(runtime), runtime.shadow.model.version) == (1, 2)
    assert not look(runtime)


def test_files_are_told_apart_by_name_time_and_size(tmp_path: Path) -> None:
    (tmp_path / "claim").mkdir()
    (tmp_path / "claim" / "a.py").write_text("1", "utf-8")
    one = files_of(tmp_path)
    (tmp_path / "claim" / "a.py").write_text("12", "utf-8")
    two = files_of(tmp_path)
    (tmp_path / "limits.toml").write_text("", "utf-8")
    (tmp_path / "HANDBOOK.md").write_text("no signal", "utf-8")
    assert len({one, two, files_of(tmp_path)}) == 3
    assert [name for name, *_ in files_of(tmp_path)] == ["claim/a.py", "limits.toml"]


def test_a_setting_that_is_no_time_is_refused(home: Home) -> None:
    (home.folder / "fraud.toml").write_text("[service]\nreload_seconds = -1\n", "utf-8")
    with pytest.raises(SpecError, match="reload_seconds"):
        Reloader(home.settings)
    assert load_catalogue(home.settings.features).signals
