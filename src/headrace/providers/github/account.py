"""What a credential sees at GitHub: its repositories and organisations, which are the partitions of all else.

Sources: https://docs.github.com/en/rest/apps/installations ("List repositories accessible to the app installation"),
/rest/repos/repos ("List repositories for the authenticated user"), /rest/orgs/orgs.
"""

from collections.abc import Generator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from headrace.http import Request, Response
from headrace.providers.github.lists import begin_at, following, read
from headrace.providers.github.places import CORE, get, key_of, path_of
from headrace.providers.kit import Context, Cursor, Item, Page, Partitions, Rows, Steps, Window
from headrace.providers.kit.rows import Body, Path, Picker, Raw, Reader, decoded

REPOSITORY = Reader("github:repository", created="created_at", updated="updated_at")
ORGANIZATION = Reader("github:organization", created="created_at", updated="updated_at")
USER = Reader("github:user", created="created_at", updated="updated_at")

_OF_INSTALLATION = (get("/installation/repositories"), "repositories")
_OF_USER = (get("/user/repos", ("affiliation", "owner,collaborator,organization_member")), None)
_REFUSED = (403, 404)


def _lists(ctx: Context) -> list[tuple[Request, Path | None]]:
    """The lists of repositories, and where their rows are, best first. An installation's token may be held as a plain
    token; servers that know no installations may list the account's own."""
    if "installation_id" not in ctx.properties:
        return [_OF_USER, _OF_INSTALLATION]
    lists: list[tuple[Request, Path | None]] = [_OF_INSTALLATION]
    login, kind = ctx.properties.get("account_login"), ctx.properties.get("account_type")
    if login:
        below = "orgs" if kind == "Organization" else "users"
        lists.append((get(f"/{below}/{quote(str(login), safe='')}/repos"), None))
    return lists


def repositories(ctx: Context, cursor: Cursor | None) -> Generator[Request, Response, Rows]:
    """One page of the repositories that the credential sees: of the first list that GitHub gives it."""
    lists = _lists(ctx)
    which = 0 if cursor is None else int(cursor["list"])
    while True:
        request, rows = lists[which]
        body = Body(rows)
        last = cursor is not None or which + 1 == len(lists)
        asked = begin_at(request, cursor)
        response = yield asked if last else replace(asked, accept=_REFUSED)
        if response.status < 300:
            break
        which += 1
    found = decoded(lambda: body.read(response).rows)
    after = following(ctx, asked, response, len(found), cursor)
    return Rows(found, response.sent_at, None if after is None else {"list": which, **after})


_names = Picker(id=("id", Any), full_name=("full_name", str))


def _repository_partitions(
    ctx: Context, cursor: Cursor | None
) -> Generator[Request, Response, tuple[list[tuple[str, str]], Cursor | None]]:
    read = yield from repositories(ctx, cursor)
    named = [decoded(lambda row=row: _names(row)) for row in read.rows]  # type: ignore[misc]
    return [(f"{key}/{full_name}", full_name) for key, full_name in named], read.next


REPOSITORIES = Partitions(_repository_partitions, key_of)


def repository_pages(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    read = yield from repositories(ctx, cursor)
    return Page([REPOSITORY(row, read.as_of) for row in read.rows], next=read.next)


# ───────────────────────────── organisations ─────────────────────────────

_login = Picker(id=("id", Any), login=("login", str))
_owner = Picker(id=("owner.id", Any), login=("owner.login", str), kind=("owner.type", Any))


def _organization_partitions(
    ctx: Context, cursor: Cursor | None
) -> Generator[Request, Response, tuple[list[tuple[str, str]], Cursor | None]]:
    """Of an installation the account that it is in, if that is an organisation; of a token those of its user, else
    those that own what it sees."""
    properties = ctx.properties
    if cursor is None and properties.get("account_login") and properties.get("account_type"):
        if properties["account_type"] != "Organization":
            return [], None
        path = f"/orgs/{quote(str(properties['account_login']), safe='')}"
        response = yield Request(path, limit_class=CORE)
        return _as_partitions([Raw(response.body)]), None
    if "installation_id" not in properties and (cursor is None or "list" not in cursor):
        request = begin_at(get("/user/orgs"), cursor)
        response = yield replace(request, accept=_REFUSED)
        if response.status < 300:
            rows = decoded(lambda: Body(None).read(response).rows)
            return _as_partitions(rows), following(ctx, request, response, len(rows), cursor)
    read = yield from repositories(ctx, cursor)
    owners = [decoded(lambda row=row: _owner(row)) for row in read.rows]  # type: ignore[misc]
    found = {f"{key}/{login}": login for key, login, kind in owners if kind == "Organization"}
    return list(found.items()), read.next


def _as_partitions(rows: list[Raw]) -> list[tuple[str, str]]:
    named = [decoded(lambda row=row: _login(row)) for row in rows]  # type: ignore[misc]
    return [(f"{key}/{login}", login) for key, login in named]


ORGANIZATIONS = Partitions(_organization_partitions, key_of)


def organization_page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    response = yield Request(path_of(ctx.partition), limit_class=CORE)
    return Page([ORGANIZATION(Raw(response.body.strip()), response.sent_at, ctx.partition)])


PROFILES = 25
"""The most profiles that one page reads."""


def user_pages(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    """The profiles of an organisation's members, one by one. Someone who left meanwhile (404) is passed over."""
    place: dict[str, Any] = cursor or {}
    begin = get(f"{path_of(ctx.partition)}/members")
    members = yield from read(ctx, begin, cursor=place)
    first = int(place.get("first", 0))
    items: list[Item] = []
    for row in members.rows[first : first + PROFILES]:
        _, login = decoded(lambda row=row: _login(row))  # type: ignore[misc]
        response = yield Request(f"/users/{quote(login, safe='')}", limit_class=CORE, accept=(404,))
        if response.status < 300:
            items.append(USER(Raw(response.body.strip()), response.sent_at))
    if first + PROFILES < len(members.rows):
        return Page(items, next={**place, "first": first + PROFILES})
    return Page(items, next=members.next)
