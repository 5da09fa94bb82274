"""Signing in elsewhere: the authorization code flow of OpenID Connect with PKCE, and what an ID token must prove.

`Provider.begin` sends a browser to the provider; `answered` and `finish` turn what it comes back with into claims that
are proven: signed by a key of the provider, for this service, for this very attempt, and not too old.

Source: OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE); RFC 9207 (who answers).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson

from fraud.errors import FraudError, InputError
from fraud.web.access.oidc_settings import OidcSettings, is_safe_address

if TYPE_CHECKING:
    from ssl import SSLContext

    import httpx
    from joserfc.jwk import KeySet

__all__ = ["LASTS", "Attempt", "NotProvenError", "Proven", "Provider", "ProviderAwayError"]

# How long somebody may take at the provider.
LASTS = timedelta(minutes=10)
ALGORITHMS = ("RS256", "ES256")
# Of what the provider says of itself, and between two looks for a key that is not known.
_FRESH, _AGAIN = timedelta(hours=1), timedelta(seconds=30)
_SECONDS = 4.0
# Threads that may wait for the provider at once: the others go on with claims.
_AT_ONCE = 2
_LONGEST_SUBJECT = 255
_LONGEST_ANSWER = 1 << 20
# A cookie has room for 4,096 bytes.
_LONGEST_THEN = 1_000


class NotProvenError(InputError):
    """A sign-in elsewhere that proves nothing; `why` is a code for the log."""

    def __init__(self, why: str) -> None:
        super().__init__("What came from the provider does not prove who this is. Begin again.")
        self.why = why


class ProviderAwayError(FraudError):
    """The provider cannot be reached, or answers in a way that nobody can use."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The provider of sign-ins cannot be used now: {why}.")
        self.why = why


@dataclass(frozen=True)
class Attempt:
    """What a browser keeps, sealed, while its user is at the provider; `until` in seconds since 1970."""

    state: str
    nonce: str
    verifier: str
    until: int
    then: str = ""

    def as_text(self) -> str:
        """The attempt as a text, for `of_text`."""
        # A byte that no identifier holds, so that no reference to a record is taken for an attempt.
        return "\0" + orjson.dumps(asdict(self)).decode()

    @classmethod
    def of_text(cls, text: str | None) -> Attempt | None:
        """The attempt of a text; None for any other text."""
        if text is None or not text.startswith("\0"):
            return None
        try:
            return cls(**orjson.loads(text[1:]))
        except TypeError:
            # Of another version of this program, a few minutes ago.
            return None


@dataclass(frozen=True)
class Proven:
    """What is proven about somebody: the claims, with those of the provider's second answer, and the token itself."""

    claims: Mapping[str, Any]
    token: str


@dataclass(frozen=True)
class _Known:
    """What the provider says of itself, and its keys."""

    about: Mapping[str, Any]
    keys: KeySet
    at: datetime


class Provider:
    """One OpenID provider; threads may use it at once. `clock` is UTC."""

    def __init__(self, settings: OidcSettings, back: str, clock: Callable[[], datetime]) -> None:
        self.settings, self.back, self._clock = settings, back, clock
        self._known: _Known | None = None
        self._asking = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    # --- there --------------------------------------------------------------------------------------------

    def begin(self, then: str = "") -> tuple[str, Attempt]:
        """Where the browser goes, and what it has to bring back; raises `ProviderAwayError`."""
        about = self._about().about
        until = int((self._clock() + LASTS).timestamp())
        then = then if len(then) <= _LONGEST_THEN else ""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.back,
            "scope": " ".join(self.settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
            **({"acr_values": " ".join(self.settings.acr)} if self.settings.acr else {}),
        }
        return _with(about["authorization_endpoint"], asked), Attempt(state, nonce, verifier, until, then)

    def end(self, token: str, back: str) -> str | None:
        """Where the session at the provider is ended; None where it does not say."""
        address = self._about().about.get("end_session_endpoint")
        if not is_safe_address(address):
            return None
        hint = {"id_token_hint": token} if token else {}
        return _with(str(address), {"client_id": self.settings.client_id, "post_logout_redirect_uri": back, **hint})

    def check(self) -> int:
        """How many keys the provider has; raises `ProviderAwayError`."""
        return len(self._ask().keys.keys)

    # --- and back -----------------------------------------------------------------------------------------

    def answered(self, attempt: Attempt, query: Mapping[str, str]) -> str:
        """The code that a browser brings back from its own attempt; raises `NotProvenError` or `ProviderAwayError`."""
        self._check_answer(self._about().about, attempt, query)
        return query["code"]

    def finish(self, attempt: Attempt, code: str) -> Proven:
        """What a code proves; raises `NotProvenError` or `ProviderAwayError`."""
        about = self._about().about
        with self._place():
            answer = self._exchange(about, code, attempt.verifier)
            token = answer.get("id_token")
            if not isinstance(token, str):
                raise NotProvenError("token")
            claims = self._proven(token, attempt.nonce)
            return Proven(self._completed(about, claims, answer), token)

    def _check_answer(self, about: Mapping[str, Any], attempt: Attempt, query: Mapping[str, str]) -> None:
        if self._clock().timestamp() > attempt.until:
            raise NotProvenError("late")
        if not secrets.compare_digest(query.get("state", "").encode(), attempt.state.encode()):
            raise NotProvenError("state")
        # Another provider that was made to answer in place of this one.
        named = query.get("iss")
        if named is None and about.get("authorization_response_iss_parameter_supported") is True:
            raise NotProvenError("issuer")
        if named is not None and named != self.settings.issuer:
            raise NotProvenError("issuer")
        if "error" in query:
            raise NotProvenError("denied")
        if not query.get("code"):
            raise NotProvenError("code")

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=_SECONDS / 2):
            raise ProviderAwayError("too many wait for it")
        try:
            yield
        finally:
            self._places.release()

    def _exchange(self, about: Mapping[str, Any], code: str, verifier: str) -> Mapping[str, Any]:
        own = self.settings
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.back, "code_verifier": verifier}
        headers: dict[str, str] = {}
        ways = about.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if own.secret and "client_secret_basic" in ways:
            both = f"{quote(own.client_id, safe='')}:{quote(own.secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
        else:
            sent |= {"client_id": own.client_id, **({"client_secret": own.secret} if own.secret else {})}
        found = self._http("POST", about["token_endpoint"], data=sent, headers=headers)
        # A code that was used, ran out or belongs to another attempt, or a secret that does not fit.
        if found.status_code in (400, 401):
            raise NotProvenError("code")
        return _object(found, "its tokens")

    def _completed(
        self, about: Mapping[str, Any], claims: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The claims with those that only the second answer has; the token's own stay as they are."""
        own, address = self.settings, about.get("userinfo_endpoint")
        needed = [name for name in (own.roles_claim, own.regions_claim, own.providers_claim) if name]
        if not is_safe_address(address) or all(name.split(".")[0] in claims for name in needed):
            return claims
        headers = {"Authorization": f"Bearer {answer.get('access_token', '')}"}
        more = _object(self._http("GET", str(address), headers=headers), "more about this person")
        if more.get("sub") != claims["sub"]:
            raise NotProvenError("subject")
        return {**more, **claims}

    # --- what a token proves ------------------------------------------------------------------------------

    def _proven(self, token: str, nonce: str) -> Mapping[str, Any]:
        claims = self._signed(token)
        own, now = self.settings, self._clock().timestamp()
        if claims.get("iss") != own.issuer:
            raise NotProvenError("issuer")
        if not _is_for(claims, own.client_id):
            raise NotProvenError("audience")
        until, made, begins = (_seconds(claims.get(name)) for name in ("exp", "iat", "nbf"))
        if until is None or made is None or now >= until + own.leeway_seconds:
            raise NotProvenError("expired")
        if made > now + own.leeway_seconds or (begins is not None and begins > now + own.leeway_seconds):
            raise NotProvenError("early")
        if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise NotProvenError("nonce")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
            raise NotProvenError("subject")
        return claims

    def _signed(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that a key of the provider signed; a key that is new is looked for once."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        for keys in (self._about().keys, None):
            try:
                found = jwt.decode(token, keys or self._later().keys, algorithms=list(ALGORITHMS))
                return found.claims
            except InvalidKeyIdError:
                continue
            except (JoseError, ValueError) as error:
                raise NotProvenError("signature") from error
        raise NotProvenError("key")

    # --- what is known of the provider --------------------------------------------------------------------

    def _about(self) -> _Known:
        known = self._known
        if known is not None and self._clock() - known.at < _FRESH:
            return known
        return self._ask()

    def _later(self) -> _Known:
        """What is known, asked for again unless that was done a moment ago: made-up keys cost nobody anything."""
        known = self._about()
        return known if self._clock() - known.at < _AGAIN else self._ask()

    def _ask(self) -> _Known:
        with self._asking:
            issuer = self.settings.issuer
            address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            about = _object(self._http("GET", address), "what it says of itself")
            if about.get("issuer") != issuer:
                raise ProviderAwayError("it calls itself by another name than [oidc] issuer")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not is_safe_address(about.get(name)):
                    raise ProviderAwayError(f"its {name} is no address of HTTPS")
            keys = _keys(_object(self._http("GET", about["jwks_uri"]), "its keys"))
            self._known = _Known(about, keys, self._clock())
            return self._known

    @cached_property
    def _tls(self) -> SSLContext:
        # Made once: reading the authorities takes longer than the answer.
        import httpx

        return httpx.create_ssl_context()

    def _http(self, method: str, address: str, **sent: Any) -> httpx.Response:
        import httpx

        headers = {"Accept": "application/json", **sent.pop("headers", {})}
        try:
            # Nobody is followed to where a token or a secret does not belong.
            verify = self._tls if address.startswith("https:") else False
            with httpx.Client(verify=verify, timeout=_SECONDS, follow_redirects=False) as client:
                return client.request(method, address, headers=headers, **sent)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderAwayError(f"no answer ({type(error).__name__})") from error


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _with(address: str, asked: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"


def _object(found: httpx.Response, what: str) -> Mapping[str, Any]:
    fits = found.status_code == 200 and len(found.content) < _LONGEST_ANSWER
    try:
        read = orjson.loads(found.content) if fits else None
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise ProviderAwayError(f"it does not say {what} (status {found.status_code})")
    return read


def _keys(given: Mapping[str, Any]) -> KeySet:
    """The keys that sign tokens; others, such as those for sealing, are left out."""
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    listed = given.get("keys")
    entries = [k for k in listed if isinstance(k, dict)] if isinstance(listed, list) else []
    signing = [k for k in entries if k.get("use", "sig") == "sig" and _can_sign(k)]
    try:
        return KeySet.import_key_set({"keys": signing})
    except (JoseError, ValueError) as error:
        raise ProviderAwayError("none of its keys can be used (RS256 or ES256)") from error


def _can_sign(key: Mapping[str, Any]) -> bool:
    return key.get("kty") == "RSA" or (key.get("kty") == "EC" and key.get("crv") == "P-256")


def _is_for(claims: Mapping[str, Any], client_id: str) -> bool:
    """Whether a token is for this client: a token for several says which of them asked for it."""
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
    party = claims.get("azp")
    return client_id in named and (party == client_id or (party is None and len(named) == 1))


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
