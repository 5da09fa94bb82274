"""A provider of sign-ins that keeps the rules, or breaks one of them on purpose."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import orjson
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.access.parts import Clock
from tests.exchange.rooms import listening
from tests.pages.visitors import Hamlet, Visitor

CLIENT, SECRET = "fraud", "a secret of the client"
START = "/workbench/sign-in/elsewhere"
# Made once: keys of this length take a while.
RSA = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "two", "use": "sig", "alg": "RS256"})
EC = ECKey.generate_key("P-256", {"kid": "curve", "use": "sig", "alg": "ES256"})


@dataclass
class House:
    """A provider. `claims` are what it states, `spoil` changes a token before it is signed, `header` how it is."""

    clock: Clock
    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "s-1", "groups": ["reviewers"], "amr": ["mfa"]})
    more: dict[str, Any] = field(default_factory=dict)
    keys: list[Any] = field(default_factory=lambda: [RSA])
    sign: Any = field(default_factory=lambda: RSA)
    header: dict[str, str] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    spoil: Callable[[dict[str, Any]], Any] = lambda token: None
    token: Callable[[str], str] = lambda signed: signed
    about: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    away: bool = False

    def app(self) -> Starlette:
        """The provider as an application."""
        routes = [
            Route("/.well-known/openid-configuration", self._about),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
            Route("/userinfo", self._userinfo),
            Route("/keys", self._keys),
        ]
        return Starlette(routes=routes)

    def _about(self, request: Request) -> Response:
        self.asked.append("about")
        if self.away:
            return Response("gone", 502)
        places = {n: f"{self.issuer}/{p}" for n, p in (("jwks_uri", "keys"), ("userinfo_endpoint", "userinfo"))}
        places |= {
            f"{n}_endpoint": f"{self.issuer}/{p}" for n, p in (("authorization", "authorize"), ("token", "token"))
        }
        return JSONResponse(
            {"issuer": self.issuer, **places, "end_session_endpoint": f"{self.issuer}/end", **self.about}
        )

    def _keys(self, request: Request) -> Response:
        self.asked.append("keys")
        return JSONResponse(KeySet(self.keys).as_dict())

    def _authorize(self, request: Request) -> Response:
        given = dict(request.query_params)
        code = f"code-{len(self.codes)}"
        self.codes[code] = given
        return RedirectResponse(
            f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given['state']} | self.answer)}"
        )

    async def _token(self, request: Request) -> Response:
        self.asked.append("token")
        sent = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
        # A code opens once, for the client and the attempt that it was given to.
        given = self.codes.pop(sent["code"], None)
        digest = hashlib.sha256(sent["code_verifier"].encode()).digest()
        proof = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        own = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '%20')}".encode()).decode()
        fits = given is not None and given["code_challenge"] == proof and given["redirect_uri"] == sent["redirect_uri"]
        if not fits or request.headers.get("authorization") != f"Basic {own}":
            return JSONResponse({"error": "invalid_grant"}, 400)
        assert given is not None
        now = int(self.clock().timestamp())
        token = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": given["nonce"],
            **self.claims,
        }
        self.spoil(token)
        signed = self.token(jwt.encode(self.header, token, self.sign, ["RS256", "ES256"]))
        return JSONResponse({"access_token": "opens-userinfo", "token_type": "Bearer", "id_token": signed})

    def _userinfo(self, request: Request) -> Response:
        self.asked.append("userinfo")
        if request.headers["authorization"] != "Bearer opens-userinfo":
            return Response(status_code=401)
        return JSONResponse({"sub": self.claims["sub"], **self.more})


@contextmanager
def housed(hamlet: Hamlet, **settings: Any) -> Iterator[House]:
    """A provider over HTTP, with which the people of a hamlet sign in."""
    house = House(hamlet.clock)
    with listening(house.app()) as issuer:
        house.issuer = issuer
        roles = {"supervisor": ["leads"], "investigator": ["reviewers"], "admin": ["heads"]}
        usual = {"issuer": issuer, "client_id": CLIENT, "address": hamlet.url, "name": "Payer ID", "roles": roles}
        assert hamlet.desk._settings is not None
        hamlet.desk._settings = replace(hamlet.desk._settings, oidc={**usual, **settings})
        yield house


def come_back(visitor: Visitor, start: str = START) -> httpx.Response:
    """What the browser asks this service for once the provider has sent it back, before it does."""
    first = visitor.client.get(start, follow_redirects=False)
    second = visitor.client.get(first.headers["location"], follow_redirects=False)
    found = urlsplit(second.headers["location"])
    return visitor.client.build_request("GET", f"{found.path}?{found.query}")  # type: ignore[return-value]


def signed_in(visitor: Visitor, start: str = START) -> httpx.Response:
    """The page after the way to the provider and back."""
    return visitor.client.send(come_back(visitor, start), follow_redirects=False)  # type: ignore[arg-type]


def signed_with_the_public_key(signed: str) -> str:
    """The same token with the provider's public key taken for a secret."""
    body = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{signed.split('.')[1]}"
    made = hmac.digest(RSA.as_pem(private=False), body.encode(), "sha256")
    return f"{body}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


def unsigned(signed: str) -> str:
    """The same token, said to need no signature."""
    return f"{_part({'alg': 'none'})}.{signed.split('.')[1]}."


def _part(header: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(header)).decode().rstrip("=")
