"""Who may work in a base, and what an enterprise's log tells of it.

Sources: https://airtable.com/developers/web/api (get base collaborators, audit log events).
"""

from typing import Any

from headrace.testing.airtable.world import Base, Json, World, made_id, written

MOST_EVENTS = 1_000


def described(base: Base, include: list[str]) -> Json:
    """A base with those who may work in it, where they are asked for: persons under their older name too."""
    told: Json = {
        "id": base.id,
        "name": base.name,
        "createdTime": written(0.0),
        "permissionLevel": base.level,
        "workspaceId": made_id("wsp", base.id),
    }
    if "collaborators" in include:
        persons = _split(base, "userId")
        told |= {"collaborators": persons, "individualCollaborators": persons}
        told["groupCollaborators"] = _split(base, "groupId")
    return told


def _split(base: Base, key: str) -> dict[str, list[Json]]:
    ways = {"baseCollaborators": base.members, "workspaceCollaborators": base.inherited}
    return {way: [each for each in there.values() if key in each] for way, there in ways.items()}


def audited(world: World, bounds: tuple[str | None, str | None], size: int, ascending: bool, token: str | None) -> Json:
    """A page of the log. `bounds` are the first moment and the first one after; a token is the number of the first
    event of its page, from the end at which the list begins."""
    lo, hi = bounds
    events = [
        each for each in world.audit if (not lo or each["timestamp"] >= lo) and (not hi or each["timestamp"] < hi)
    ]
    events.sort(key=lambda each: str(each["timestamp"]), reverse=not ascending)
    at = int(token or 0)
    pagination: dict[str, Any] = {"next": None, "previous": None}
    if at + size < len(events):
        pagination["next" if ascending else "previous"] = str(at + size)
    return {"events": events[at : at + size], "pagination": pagination}
