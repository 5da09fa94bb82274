"""Copies of registered models, with which a service starts while the registry is away."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fraud.errors import NotKnownError
from fraud.learning.model import FittedModel
from fraud.learning.shelf import Shelf, stamp_of
from fraud.signals.catalogue import Catalogue
from tests.learning.town import write_room
from tests.web.models import NAMES, small_model

NAME, ALIAS = "claim_risk", "champion"
ELSEWHERE = "http://registry.example"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return write_room(tmp_path_factory.mktemp("room") / "features")


@pytest.fixture
def registry(tmp_path: Path) -> str:
    write(tmp_path / "mlflow.db", "CREATE TABLE aliases (version INTEGER)")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def write(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


class Asked:
    """What brings a model from the registry, and how often it was asked."""

    def __init__(self, model: FittedModel | None) -> None:
        self.model, self.times = model, 0

    def __call__(self) -> FittedModel:
        self.times += 1
        if self.model is None:
            raise NotKnownError("no such alias")
        return self.model


def fitted(room: Catalogue, version: int) -> FittedModel:
    """A small model of this room, as a registry gives it."""
    digests = {i: room.digests[i] for i in NAMES}
    return replace(small_model(room, version, ALIAS, 1), signal_digests=digests, run_id=f"run-{version}")


@pytest.fixture
def asked(room: Catalogue) -> Asked:
    return Asked(fitted(room, 4))


def test_a_copy_is_the_model_that_was_fetched_and_the_registry_is_asked_once(
    tmp_path: Path, room: Catalogue, registry: str, asked: Asked
) -> None:
    shelf = Shelf(tmp_path / "shelf", registry)
    first, second = (shelf.model(NAME, ALIAS, room, asked) for _ in range(2))
    assert asked.times == 1
    assert (second.digest, second.version, second.alias, second.run_id) == (first.digest, 4, ALIAS, "run-4")


def test_whatever_changes_in_the_registry_makes_a_copy_void(
    tmp_path: Path, room: Catalogue, registry: str, asked: Asked
) -> None:
    shelf, before = Shelf(tmp_path / "shelf", registry), stamp_of(registry)
    shelf.model(NAME, ALIAS, room, asked)
    write(tmp_path / "mlflow.db", "INSERT INTO aliases VALUES (5)")
    assert stamp_of(registry) != before
    asked.model = fitted(room, 5)
    assert shelf.model(NAME, ALIAS, room, asked).version == 5
    copies = [p.name for p in (tmp_path / "shelf").iterdir() if p.is_dir()]
    assert len(copies) == 1
    assert copies[0].startswith(f"{NAME}-5-")


def test_that_there_is_no_such_model_is_remembered_until_the_registry_changes(
    tmp_path: Path, room: Catalogue, registry: str
) -> None:
    shelf, nothing = Shelf(tmp_path / "shelf", registry), Asked(None)
    for _ in range(2):
        with pytest.raises(NotKnownError, match="no such alias"):
            shelf.model(NAME, "shadow", room, nothing)
    assert nothing.times == 1
    write(tmp_path / "mlflow.db", "INSERT INTO aliases VALUES (5)")
    with pytest.raises(NotKnownError):
        shelf.model(NAME, "shadow", room, nothing)
    assert nothing.times == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda shelf: next(shelf.glob("*/booster-0.txt")).write_text("tree", "utf-8"),
        lambda shelf: next(shelf.glob("*/booster-0.txt")).unlink(),
        lambda shelf: (shelf / f"{NAME}.{ALIAS}.json").write_text("{", "utf-8"),
        lambda shelf: (shelf / f"{NAME}.{ALIAS}.json").write_text("[]", "utf-8"),
    ],
)
def test_a_copy_that_was_spoilt_is_fetched_anew(
    tmp_path: Path, room: Catalogue, registry: str, asked: Asked, spoil: Callable[[Path], object]
) -> None:
    shelf = Shelf(tmp_path / "shelf", registry)
    shelf.model(NAME, ALIAS, room, asked)
    spoil(tmp_path / "shelf")
    assert shelf.model(NAME, ALIAS, room, asked).version == 4
    assert asked.times == 2


def test_a_registry_elsewhere_is_asked_by_who_follows_it_and_not_at_a_start(
    tmp_path: Path, room: Catalogue, asked: Asked
) -> None:
    shelf = Shelf(tmp_path / "shelf", ELSEWHERE)
    for _ in range(2):
        shelf.model(NAME, ALIAS, room, asked)
    assert asked.times == 1
    shelf.model(NAME, ALIAS, room, asked, anew=True)
    assert asked.times == 2
    nothing = Asked(None)
    for _ in range(2):
        with pytest.raises(NotKnownError):
            shelf.model(NAME, "shadow", room, nothing)
    assert nothing.times == 2


def test_the_copies_of_another_registry_are_none_of_this_one(
    tmp_path: Path, room: Catalogue, registry: str, asked: Asked
) -> None:
    Shelf(tmp_path / "shelf", ELSEWHERE).model(NAME, ALIAS, room, asked)
    Shelf(tmp_path / "shelf", registry).model(NAME, ALIAS, room, asked)
    assert asked.times == 2
