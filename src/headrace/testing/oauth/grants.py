"""What an authorisation server knows: codes, refresh tokens by family, access tokens, and how often each was used."""

import base64
import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


class Denied(Exception):
    """The token endpoint's refusal, by its OAuth error code."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.description = description


@dataclass
class Behaviour:
    """How the server treats refresh tokens and answers.

    `rotates`: each refresh brings the next refresh token and ends the one used. `replays`: a used one is answered again
    with the same successor. `revokes_on_reuse`: a used one that comes again ends the whole family (RFC 9700 §4.14.2).
    `lives_s` is `expires_in`, `grant_lives_s` that of the refresh token, None: it is not told. `late_s` holds answers
    back, after the work is done. `drops` answers are not sent, the connection being broken, after the work is done;
    `fails` requests are answered 503 before it is; `refuses` are answered invalid_grant though the grant is good.
    """

    rotates: bool = True
    replays: bool = False
    revokes_on_reuse: bool = False
    lives_s: float | None = 3600
    grant_lives_s: float | None = None
    late_s: float = 0.0
    drops: int = 0
    fails: int = 0
    refuses: int = 0
    needs_pkce: bool = False


@dataclass
class Family:
    """One consent of one account: the refresh tokens that followed each other, the live one last."""

    account: str
    tokens: list[str] = field(default_factory=list)
    revoked: bool = False

    @property
    def live(self) -> str | None:
        return None if self.revoked or not self.tokens else self.tokens[-1]


@dataclass
class _Code:
    account: str
    redirect_uri: str
    challenge: str | None


class Grants:
    """`presented` and `exchanged` count each refresh token: how often it came, how often a successor was made of it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.families: list[Family] = []
        self.access: dict[str, Family] = {}
        self.presented: Counter[str] = Counter()
        self.exchanged: Counter[str] = Counter()
        self.minted = 0
        self._codes: dict[str, _Code] = {}
        self._successors: dict[str, str] = {}

    def consent(self, account: str) -> Family:
        """A family with its first refresh token."""
        family = Family(account)
        family.tokens.append(self._new("rt"))
        self.families.append(family)
        return family

    def code(self, account: str, redirect_uri: str, challenge: str | None) -> str:
        """An authorisation code, good once."""
        code = self._new("code")
        self._codes[code] = _Code(account, redirect_uri, challenge)
        return code

    def redeem(self, code: str, redirect_uri: str, verifier: str | None) -> tuple[Family, dict[str, Any]]:
        """The answer for a code. Raises Denied."""
        held = self._codes.pop(code, None)
        if held is None:
            raise Denied("invalid_grant", "the code is unknown or was used")
        if held.redirect_uri != redirect_uri:
            raise Denied("invalid_grant", "the redirect_uri is not the one of the authorization")
        if (held.challenge is not None) != (verifier is not None) or (
            verifier is not None and held.challenge != challenge_of(verifier)
        ):
            raise Denied("invalid_grant", "the code_verifier does not fit")
        family = self.consent(held.account)
        return family, self._answer(family)

    def refresh(self, token: str) -> tuple[Family, dict[str, Any]]:
        """The answer for a refresh token. Raises Denied."""
        self.presented[token] += 1
        family = next((each for each in self.families if token in each.tokens), None)
        if family is None or family.revoked:
            raise Denied("invalid_grant", "the refresh token is revoked or unknown")
        if self.behaviour.refuses > 0:
            self.behaviour.refuses -= 1
            raise Denied("invalid_grant", "a bad day")
        if token != family.live and not self._may_replay(family, token):
            family.revoked = family.revoked or self.behaviour.revokes_on_reuse
            raise Denied("invalid_grant", "the refresh token was used already")
        if token == family.live:
            self.exchanged[token] += 1
            if self.behaviour.rotates:
                family.tokens.append(self._new("rt"))
                self._successors[token] = family.tokens[-1]
        return family, self._answer(family)

    def client(self, account: str) -> dict[str, Any]:
        """An access token without a refresh token (client credentials, an installation)."""
        answer = self._answer(Family(account))
        answer.pop("refresh_token", None)
        return answer

    def revoke(self, family: Family) -> None:
        """The account's owner takes the consent back: every token of it ends."""
        family.revoked = True
        self.access = {token: owner for token, owner in self.access.items() if owner is not family}

    def expire_access(self) -> None:
        """Every access token has ended."""
        self.access.clear()

    def _may_replay(self, family: Family, token: str) -> bool:
        """Until its successor is used, as Shopify has it."""
        return self.behaviour.replays and self._successors.get(token) == family.live

    def _answer(self, family: Family) -> dict[str, Any]:
        self.minted += 1
        token = self._new("at")
        self.access[token] = family
        answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        if self.behaviour.lives_s is not None:
            answer["expires_in"] = self.behaviour.lives_s
        if self.behaviour.grant_lives_s is not None:
            answer["refresh_token_expires_in"] = self.behaviour.grant_lives_s
        if family.live is not None:
            answer["refresh_token"] = family.live
        return answer

    @staticmethod
    def _new(what: str) -> str:
        return f"{what}_{secrets.token_hex(16)}"


def challenge_of(verifier: str) -> str:
    """The S256 code challenge (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
