from __future__ import annotations

from pathlib import Path
from typing import get_args

import orjson

import fraud.client.shapes
from fraud.client.asks import MOST_CLAIMS, Entity, Explain, Locale
from fraud.web.bodies.shapes import MOST_CLAIMS as MOST_OF_THE_SERVICE
from fraud.web.exchange.typed import module
from fraud.web.openapi import description


def test_the_shapes_of_the_client_are_those_that_the_service_describes() -> None:
    """After a change of an answer: `python -m fraud.web.exchange.typed`."""
    assert Path(fraud.client.shapes.__file__).read_text("utf-8") == module()


def test_required_fields_and_choices_are_told_as_types() -> None:
    schemas = orjson.loads(description())["components"]["schemas"]
    for name in fraud.client.shapes.__all__:
        shape = getattr(fraud.client.shapes, name)
        assert set(shape.__annotations__) == set(schemas[name]["properties"])
        optional = {f for f, t in shape.__annotations__.items() if "NotRequired[" in str(t)}
        assert set(shape.__annotations__) - optional == set(schemas[name].get("required", ()))


def test_what_may_be_chosen_is_what_the_service_takes() -> None:
    schemas = orjson.loads(description())["components"]["schemas"]
    options = schemas["Options"]["properties"]
    assert list(get_args(Explain)) == options["explain"]["enum"]
    assert list(get_args(Locale)) == options["locale"]["enum"]
    assert set(get_args(Entity)) == set(schemas["EntityRisk"]["properties"]["entity"]["enum"])
    assert MOST_CLAIMS == MOST_OF_THE_SERVICE
