"""What there is at GitHub: an organisation, its repositories, and what stands in them; and how it changes."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from headrace.testing.github import objects
from headrace.testing.github.catalog import RESOURCES
from headrace.testing.github.objects import Json

ORG_ID = 9_001
_NOT_PARTS = frozenset({"issue_comment", "review_comment"})


class NoSuchThing(LookupError):
    """There is nothing of that name here."""


def stamp(moment: float) -> str:
    """Unix seconds as GitHub writes a time: whole seconds, UTC."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Thing:
    """One object. `data` is its JSON, with addresses to be filled in; `under` is the key of its parent; `born` and
    `changed` are whole seconds; `order` is its place among all that were ever made."""

    data: Json
    under: int | None
    born: int
    changed: int
    order: int


@dataclass(slots=True)
class Repository:
    """A repository. `installed`: the app may see it. `readable`: the credential may read it at all. `off` are the
    resources whose permission is missing."""

    data: Json
    installed: bool = True
    readable: bool = True
    off: set[str] = field(default_factory=set)
    things: dict[str, dict[int, Thing]] = field(default_factory=lambda: defaultdict(dict))
    numbers: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    issues_of: dict[int, int] = field(default_factory=dict)
    """The issue that each pull request is too."""
    former: dict[int, tuple[int, int] | None] = field(default_factory=dict)
    """By the numbers of issues that are gone: the repository and number that each was transferred to; None: deleted."""

    @property
    def id(self) -> int:
        return int(self.data["id"])

    @property
    def full_name(self) -> str:
        return str(self.data["full_name"])


class World:
    """One organisation with its repositories. `now` gives Unix seconds by the provider's clock.

    Every change is stamped with the whole second in which it is made, and touches what GitHub touches with it: a
    comment its issue, a review its pull request, a pull request its issue.
    """

    def __init__(self, now: Callable[[], float], org: str = "the-mill", repositories: int = 2) -> None:
        self._now = now
        self._next = 100_000
        self.changes = 0
        at = stamp(now() - 400 * 86_400)
        self.org = objects.organization(org, ORG_ID, at)
        self.people = [objects.user(f"keeper-{n}", 1_000 + n) for n in range(1, 6)]
        self.repositories: dict[int, Repository] = {}
        self.moved: dict[str, int] = {}
        """Former names, and which repository they led to."""
        self.own = Repository({"id": ORG_ID, "full_name": org})
        """What belongs to the organisation itself, kept as a repository's things are."""
        for number in range(repositories):
            self.add_repository(f"wheel-{number}", at)

    # ─── repositories ───

    def add_repository(self, name: str, at: str | None = None) -> Repository:
        key = self._id()
        made = Repository(objects.repository(key, self.org, name, at or stamp(self._now())))
        self.repositories[key] = made
        return made

    def rename(self, key: int, name: str, owner: str | None = None) -> None:
        """Rename the repository, or transfer it to another owner; the former name leads to it from now on."""
        found = self.repositories[key]
        self.moved[found.full_name.lower()] = key
        login = owner or found.data["owner"]["login"]
        found.data["owner"] = {**found.data["owner"], "login": login}
        found.data.update(name=name, full_name=f"{login}/{name}", updated_at=stamp(self._now()))

    def remove_repository(self, key: int) -> None:
        del self.repositories[key]

    def named(self, owner: str, name: str) -> Repository | None:
        wanted = f"{owner}/{name}".lower()
        return next((each for each in self.repositories.values() if each.full_name.lower() == wanted), None)

    # ─── things ───

    def place(self, name: str, repository: int | None) -> Repository:
        if RESOURCES[name].scope == "organization":
            return self.own
        if repository is None or repository not in self.repositories:
            raise NoSuchThing(f"{name} stands in a repository: there is none with the id {repository}")
        return self.repositories[repository]

    def create(
        self,
        name: str,
        repository: int | None = None,
        under: int | None = None,
        /,
        at: float | None = None,
        **fields: Any,
    ) -> Thing:
        """Make an object, in a repository and below the parent `under`, where it has one. The object."""
        place, key = self.place(name, repository), self._id()
        above = RESOURCES[name].parent or {"issue_comment": "issue", "review_comment": "pull_request"}.get(name)
        parent = place.things[above].get(under) if above is not None and under is not None else None
        if RESOURCES[name].parent is not None and parent is None:
            raise NoSuchThing(f"{name} stands below a {above}: there is none with the id {under}")
        moment = int(self._now() if at is None else at)
        numbered = "issue" if name == "pull_request" else name
        place.numbers[numbered] += 1
        birth = objects.Birth(
            key,
            place.numbers[numbered],
            stamp(moment),
            parent.data if parent else {},
            self.people[key % len(self.people)],
            self.org["login"],
        )
        made = Thing({**objects.MAKERS[name](birth), **fields}, under, moment, moment, key)
        place.things[name][key] = made
        self.changes += 1
        if name == "pull_request":
            self._shadow(place, made)
        if above is not None and parent is not None:
            self._touch(place, above, parent, moment)
        return made

    def update(self, name: str, key: int, repository: int | None = None, /, **fields: Any) -> Thing:
        """Change fields of an object, and the time of its last change where it shows one."""
        place = self.place(name, repository)
        thing = self.get(name, key, repository)
        thing.data.update(fields)
        self.changes += 1
        self._touch(place, name, thing, int(self._now()))
        return thing

    def delete(self, name: str, key: int, repository: int | None = None) -> None:
        """Take an object away, and what stands below it."""
        place = self.place(name, repository)
        thing = self.get(name, key, repository)
        del place.things[name][key]
        self.changes += 1
        if name == "issue":
            place.former[thing.data["number"]] = None
        for child in RESOURCES.values():
            if child.parent == name or (name == "issue" and child.name == "issue_comment"):
                for below in [k for k, each in place.things[child.name].items() if each.under == key]:
                    self.delete(child.name, below, repository)
        if name in _NOT_PARTS and thing.under is not None:
            above = "issue" if name == "issue_comment" else "pull_request"
            if thing.under in place.things[above]:
                self._touch(place, above, place.things[above][thing.under], int(self._now()))

    def transfer(self, key: int, repository: int, to: int) -> Thing:
        """Transfer an issue to another repository, where it is another one, with an id and number of its own; its old
        address leads there. The issue that it becomes."""
        thing = self.get("issue", key, repository)
        kept = {name: thing.data[name] for name in ("title", "body", "state")}
        made = self.create("issue", to, **kept)
        self.delete("issue", key, repository)
        self.repositories[repository].former[thing.data["number"]] = (to, made.data["number"])
        return made

    def get(self, name: str, key: int, repository: int | None = None) -> Thing:
        found = self.place(name, repository).things[name].get(key)
        if found is None:
            raise NoSuchThing(f"there is no {name} with the id {key}")
        return found

    def _id(self) -> int:
        self._next += 1
        return self._next

    def _shadow(self, place: Repository, pull: Thing) -> None:
        """Every pull request is an issue too, with an id of its own and the same number."""
        key, data = self._id(), pull.data
        birth = objects.Birth(key, data["number"], stamp(pull.born), {}, data["user"], self.org["login"])
        shown = {"url": data["url"], "html_url": data["html_url"]}
        issue = {**objects.MAKERS["issue"](birth), "title": data["title"], "pull_request": shown}
        place.things["issue"][key] = Thing(issue, None, pull.born, pull.born, key)
        place.issues_of[pull.order] = key

    def _touch(self, place: Repository, name: str, thing: Thing, moment: int) -> None:
        """A change of this moment: never earlier than the last one."""
        thing.changed = max(thing.changed, moment)
        if "updated_at" in thing.data:
            thing.data["updated_at"] = stamp(thing.changed)
        if name == "pull_request":
            self._touch(place, "issue", place.things["issue"][place.issues_of[thing.order]], moment)

    # ─── as shown ───

    def shown(self, place: Repository, data: Json, base: str) -> Json:
        """The object with its addresses filled in."""
        text = orjson.dumps(data).replace(b"%API%", base.encode()).replace(b"%REPO%", place.full_name.encode())
        shown: Json = orjson.loads(text)
        return shown

    def all(self, name: str) -> Iterator[tuple[Repository, int, Thing]]:
        """Every object of a resource that the app may see, with where it stands and its key."""
        places = [self.own] if RESOURCES[name].scope == "organization" else list(self.repositories.values())
        for place in places:
            if place.installed:
                for key, thing in place.things[name].items():
                    yield place, key, thing
