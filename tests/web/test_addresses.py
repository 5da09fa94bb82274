"""Addresses with what no address has: answered by the contract's problem, never by the server around it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from fraud.web.app import build_app


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_line_break_in_an_address_is_answered_with_a_problem(method: str) -> None:
    # As the server mounts it.
    around = Starlette(routes=[Mount("/", build_app())])
    around.router.redirect_slashes = False

    async def asked() -> list[httpx.Response]:
        places = ("/v1/model%0A", "/v1/mo%0Adel", "/%0A", "/v1/claims/score%0A", "/workbench/home%0A", "/x/%0d%0ay/%00")
        transport = httpx.ASGITransport(around)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return [await client.request(method, place) for place in places]

    for answer in asyncio.run(asked()):
        assert answer.status_code == 404, answer.url
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"].endswith("not-found")
