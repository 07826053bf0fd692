"""GitHub's server: what comes in, who asks, which limit counts it, what goes out.

It obeys what GitHub documents and what was seen of it, not what our connector needs; sources stand in `lists`,
`catalog` and `answers`. A user's token sees every repository, an installation's those that the app is installed on.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from hashlib import sha256
from secrets import token_hex
from time import monotonic
from typing import ClassVar, Unpack

import orjson

from headrace.testing.exchange import Call, Reply
from headrace.testing.faults import Fault
from headrace.testing.github import answers
from headrace.testing.github.catalog import RESOURCES
from headrace.testing.github.controls import add_controls
from headrace.testing.github.lists import BadQuery, link_header, page_of, rows_of, tagged, wrapped
from headrace.testing.github.mutator import Mutator
from headrace.testing.github.objects import Json, profile
from headrace.testing.github.pagingfaults import LIST_KINDS, PagingFaults
from headrace.testing.github.population import populate
from headrace.testing.github.routes import Route, route
from headrace.testing.github.webhooks import Webhooks
from headrace.testing.github.world import Repository, World, stamp
from headrace.testing.limits import Allowance
from headrace.testing.provider import Options, ProviderServer, Refusal

HOURLY, PER_MINUTE = 5_000, 900
"""https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api: requests an hour of a user or a
small installation; points a minute, a read being one. An answer of 304 does not count towards the first."""

INSTALLATION = 4_711
TOKENS = ("ghp_", "github_pat_", "gho_", "ghu_")


class GithubServer(ProviderServer):
    """`records` is the number of objects in all, or of each collection by name (`issue`, `label`, …), over
    `repositories` of one organisation. `world` is what there is. Every token that begins as GitHub's do opens it; a
    JSON Web Token of RS256 mints one for the installation 4711.
    """

    kinds: ClassVar[frozenset[str]] = LIST_KINDS | {"secondary_limit", "no_etag"}

    def __init__(
        self,
        records: int | Mapping[str, int] = 1000,
        *,
        seed: int = 1,
        changes_per_s: float = 0.0,
        repositories: int = 2,
        span_days: float = 300.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(seed=seed, **options)
        self.world = World(self.clock.now, repositories=repositories)
        populate(self.world, records, seed, self.clock.now() - 5.0, span_days * 86_400)
        self.world.changes = 0
        self.mutator: Mutator = Mutator(self.world, seed, changes_per_s)
        self.webhooks = Webhooks(self.world)
        self.paging = PagingFaults(self.faults)
        self.revoked: set[str] = set()
        self._minted: dict[str, float] = {}
        add_controls(self)

    async def start(self) -> None:
        await super().start()
        self.spawn(self.webhooks.run())

    # Who asks.

    @staticmethod
    def token_of(call: Call) -> str:
        scheme, _, value = call.headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() in ("bearer", "token") else ""

    def credential(self, call: Call) -> str:
        token = self.token_of(call)
        return f"{token[:4]}…{sha256(token.encode()).hexdigest()[:6]}" if token else ""

    def _opens(self, token: str) -> bool:
        if token in self.revoked:
            return False
        return token.startswith(TOKENS) or self._minted.get(token, 0.0) > self.clock.now()

    def _sees(self, call: Call, place: Repository) -> bool:
        return place.readable and (place.installed or not self.token_of(call).startswith("ghs_"))

    # What the base asks.

    def allowances(self, call: Call) -> Sequence[Allowance]:
        token = self.token_of(call)
        unchanged = "if-none-match" in call.headers and self.answer(call).status == 304
        return (
            Allowance(("hour", token), HOURLY, 3600.0, "primary", 0.0 if unchanged else 1.0),
            Allowance(("minute", token), PER_MINUTE, 60.0, "secondary"),
        )

    def refusal(self, kind: Refusal, call: Call, fault: Fault | None = None, reason: str = "") -> Reply:
        match kind:
            case "rate_limited":
                status = int(fault.option("status", 403)) if fault else 403
                if reason == "secondary":
                    return answers.secondary(fault.option("retry_after", 1) if fault else 60, status)
                wait_s = float(fault.option("reset_s", 1.0)) if fault else 60.0
                return answers.primary(int(self.clock.now() + wait_s) + 1, status)
            case "server_error":
                return answers.server_error(int(fault.option("status", 500)) if fault else 500)
            case "unauthorized":
                return answers.bad_credentials()
            case "forbidden":
                return answers.forbidden()

    def answer(self, call: Call) -> Reply:
        if fault := self.faults.strikes("secondary_limit", call.path, call.method):
            return answers.secondary(fault.option("retry_after", None), int(fault.option("status", 403)))
        if "user-agent" not in call.headers:
            return answers.no_agent()
        reply = self._answer(call)
        if self.faults.strikes("no_etag", call.path, call.method):
            reply = reply.changed(headers=tuple(each for each in reply.headers if each[0] != "ETag"))
        return reply.changed(headers=(*reply.headers, *self._rate_headers(call, reply)))

    def _rate_headers(self, call: Call, reply: Reply) -> tuple[tuple[str, str], ...]:
        if any(name == "X-RateLimit-Remaining" for name, _ in reply.headers):
            return ()
        hour = Allowance(("hour", self.token_of(call)), HOURLY, 3600.0, "primary")
        used = int(self.limiter.used(hour, monotonic()))
        return (
            ("X-RateLimit-Limit", str(HOURLY)),
            ("X-RateLimit-Remaining", str(HOURLY - used)),
            ("X-RateLimit-Used", str(used)),
            ("X-RateLimit-Reset", str(int(self.clock.now()) + 3600)),
            ("X-RateLimit-Resource", "core"),
            ("X-GitHub-Request-Id", token_hex(8)),
        )

    # One call.

    def _answer(self, call: Call) -> Reply:
        segments = call.segments
        if segments[0] == "app":
            return self._as_app(call, segments[1:])
        if not self._opens(self.token_of(call)):
            return answers.bad_credentials()
        if segments == ["rate_limit"]:
            return Reply.json({"resources": {"core": {"limit": HOURLY}}})
        if call.method == "POST" and segments[-1] == "hooks":
            return self._hooked(call)
        if call.method != "GET":
            return answers.not_found()
        match segments:
            case ["user"]:
                return self._shown(call, profile(self.world.people[0], self.world.org["created_at"]))
            case ["user", "orgs"]:
                return self._listed(call, [self.world.shown(self.world.own, self.world.org, self.base_url)], None)
            case ["user", "repos"]:
                if self.token_of(call).startswith("ghs_"):
                    return answers.forbidden()
                return self._repositories(call, None)
            case ["installation", "repositories"]:
                if not self.token_of(call).startswith("ghs_"):
                    return answers.error(403, "You must authenticate with an installation access token")
                return self._repositories(call, "repositories")
            case ["users", login]:
                return self._user(call, login)
            case ["repos", owner, name, *rest]:
                return self._in_named(call, owner, name, rest)
            case ["repositories", key, *rest] if key.isdigit():
                place = self.world.repositories.get(int(key))
                return answers.not_found() if place is None else self._in(call, place, rest)
            case ["orgs", login, *rest]:
                if login != self.world.org["login"]:
                    return answers.not_found()
                return self._shown(call, self.world.org) if not rest else self._in_place(call, self.world.own, rest)
        return answers.not_found()

    def _as_app(self, call: Call, segments: list[str]) -> Reply:
        """What an app asks with its own JSON Web Token."""
        refused = self._app_refused(self.token_of(call))
        if refused:
            return answers.app_refused(refused)
        if segments[:2] != ["installations", str(INSTALLATION)]:
            return answers.not_found()
        account = {"login": self.world.org["login"], "id": self.world.org["id"], "type": "Organization"}
        if segments[2:] == ["access_tokens"] and call.method == "POST":
            token = f"ghs_{token_hex(18)}"
            self._minted[token] = self.clock.now() + 3600
            expires = stamp(self.clock.now() + 3600)
            made = {"token": token, "expires_at": expires, "permissions": {}, "repository_selection": "selected"}
            return Reply.json(made, 201)
        return Reply.json({"id": INSTALLATION, "account": account, "target_type": "Organization", "app_id": 1})

    def _app_refused(self, token: str) -> str:
        """What is wrong with a JSON Web Token; its signature is not checked: no key was registered here."""
        try:
            _, claims, _ = token.split(".")
            told = orjson.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
            expires = float(told["exp"])
        except (ValueError, KeyError, TypeError, binascii.Error):
            return "A JSON web token could not be decoded"
        now = self.clock.now()
        if not now < expires <= now + 601:
            return "'Expiration time' claim ('exp') must be a numeric value representing the future time"
        return ""

    def _user(self, call: Call, login: str) -> Reply:
        found = [person for person in self.world.people if person["login"] == login]
        found += [thing.data for thing in self.world.own.things["member"].values() if thing.data["login"] == login]
        return self._shown(call, profile(found[0], self.world.org["created_at"])) if found else answers.not_found()

    def _repositories(self, call: Call, wrap: str | None) -> Reply:
        rows = [place for place in self.world.repositories.values() if place.installed or wrap is None]
        return self._listed(call, [self.world.shown(place, place.data, self.base_url) for place in rows], wrap)

    def _in_named(self, call: Call, owner: str, name: str, rest: list[str]) -> Reply:
        place = self.world.named(owner, name)
        if place is not None:
            return self._in(call, place, rest)
        key = self.world.moved.get(f"{owner}/{name}".lower())
        if key is None or key not in self.world.repositories:
            return answers.not_found()
        path = "/".join(["", "repositories", str(key), *rest])
        location = f"{self.base_url}{path}" + (f"?{call.raw_query}" if call.raw_query else "")
        return answers.moved(location)

    def _in(self, call: Call, place: Repository, rest: list[str]) -> Reply:
        if not self._sees(call, place):
            return answers.not_found()
        if not rest:
            return self._shown(call, self.world.shown(place, place.data, self.base_url))
        return self._in_place(call, place, rest)

    def _in_place(self, call: Call, place: Repository, rest: list[str]) -> Reply:
        found = route(RESOURCES["issue"].scope if place is not self.world.own else "organization", rest)
        if found is None:
            return answers.not_found()
        if found.resource.name in place.off:
            return answers.forbidden()
        if found.resource.name == "commit" and not place.things["commit"]:
            return answers.error(409, "Git Repository is empty.")
        if found.resource.name == "issue" and not place.data.get("has_issues", True):
            return answers.error(410, "Issues are disabled for this repo")
        under = self._under(place, found)
        if found.under is not None and under is None:
            return answers.not_found()
        if found.one is not None:
            return self._one(call, place, found)
        return self._list(call, place, found, under)

    def _under(self, place: Repository, found: Route) -> int | None:
        if found.under is None or found.resource.parent is None:
            return None
        things = place.things[found.resource.parent]
        return next((k for k, t in things.items() if str(t.data.get(found.resource.address)) == found.under), None)

    def _one(self, call: Call, place: Repository, found: Route) -> Reply:
        field = found.resource.one or "id"
        for thing in place.things[found.resource.name].values():
            if str(thing.data.get(field)) == found.one:
                return self._shown(call, self.world.shown(place, thing.data, self.base_url))
        if found.resource.name == "issue" and found.one is not None and found.one.isdigit():
            return self._former(place, int(found.one))
        return answers.not_found()

    def _former(self, place: Repository, number: int) -> Reply:
        """An issue that is gone from here (https://docs.github.com/en/rest/issues/issues#get-an-issue)."""
        if number not in place.former:
            return answers.not_found()
        to = place.former[number]
        if to is None:
            return answers.error(410, "This issue was deleted")
        return answers.moved(f"{self.base_url}/repositories/{to[0]}/issues/{to[1]}")

    def _list(self, call: Call, place: Repository, found: Route, under: int | None) -> Reply:
        query = dict(call.query)
        self.paging.before(self.world, call.path)
        try:
            rows = rows_of(place, found.resource, under, query)
        except BadQuery as error:
            return answers.error(422, f"Validation Failed: {error}")
        path = call.path if place is self.world.own else "/".join(["/repositories", str(place.id), *call.segments[3:]])
        if call.segments[0] == "repositories":
            path = call.path
        page, links = page_of(rows, query, cursors=found.resource.cursors)
        shown = [self.world.shown(place, thing.data, self.base_url) for thing in page]
        return self._paged(call, path, shown, links, found.resource.wrap, len(rows))

    def _listed(self, call: Call, rows: list[Json], wrap: str | None) -> Reply:
        page, links = page_of(rows, dict(call.query), cursors=False)
        return self._paged(call, call.path, page, links, wrap, len(rows))

    def _paged(
        self, call: Call, path: str, page: list[Json], links: dict[str, str], wrap: str | None, total: int
    ) -> Reply:
        page, links, base = self.paging.page(page, links, self.base_url, call)
        link = link_header(base, path, dict(call.query), links)
        return tagged(call, wrapped(wrap, page, total), (("Link", link),) if link else ())

    def _shown(self, call: Call, data: Json) -> Reply:
        return tagged(call, orjson.dumps(data).replace(b"%API%", self.base_url.encode()))

    def _hooked(self, call: Call) -> Reply:
        asked = orjson.loads(call.body)
        config = asked.get("config", {})
        return Reply.json(self.webhooks.register(str(config["url"]), str(config.get("secret", ""))), 201)
