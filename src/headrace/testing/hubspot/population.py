"""What a portal begins with: its CRM objects, how they are associated, and some of each of the other things."""

import random
from collections.abc import Mapping

from headrace.testing.hubspot.portal import OWN, Json, Portal, written

_ASSOCIATED = (("contacts", "companies"), ("deals", "contacts"), ("notes", "contacts"))
_OTHERS = (
    "owners", "forms", "marketing_emails", "campaigns", "workflows", "users", "inboxes", "channels", "channel_accounts",
)  # fmt: skip


class Population:
    """Fills a portal with what was born over `span_s` seconds up to `until` (Unix seconds): the same for the same
    seed."""

    def __init__(self, portal: Portal, seed: int, until: float, span_s: float) -> None:
        self._portal = portal
        self._dice = random.Random(f"portal {seed}")
        self._until = until
        self._span_s = span_s

    def values(self, kind: str, dice: random.Random) -> dict[str, str | None]:
        """Values of a new object's properties; some are missing."""
        own = OWN.get(kind, ("hs_title",))
        return {name: f"Ünï {dice.randrange(10**6)}" for name in own if dice.random() < 0.8}

    def settle(self, records: int | Mapping[str, int]) -> None:
        """That many objects in all, or of each type. Raises ValueError for a type that there is not."""
        portal, dice = self._portal, self._dice
        if isinstance(records, int):
            records = dict.fromkeys(portal.kinds, max(1, records // len(portal.kinds)))
        if unknown := records.keys() - portal.kinds.keys():
            raise ValueError(f"no objects {', '.join(sorted(unknown))}; there are {', '.join(portal.kinds)}")
        for kind, count in records.items():
            for _ in range(count):
                portal.create(kind, self.values(kind, dice), self._until - self._span_s * dice.random() ** 2)
        for kind, other in _ASSOCIATED:
            ends = list(portal.kinds[other].things)
            for key in portal.kinds[kind].things:
                for end in dice.sample(ends, min(len(ends), dice.randrange(3))):
                    portal.associate(kind, key, other, end)
        self._settle_others(max(3, sum(records.values()) // 50))

    def _settle_others(self, few: int) -> None:
        portal, now = self._portal, written(self._until)
        times: Json = {"createdAt": now, "updatedAt": now}
        for name in _OTHERS:
            portal.others[name] = [{"id": f"{n}", "name": f"{name} {n}", **times} for n in range(1, few)]
        for n, owner in enumerate(portal.others["owners"]):
            owner["archived"] = n % 5 == 0
        for kind in ("deals", "tickets"):
            stages = [{"id": "1", "label": "New", **times}]
            portal.others[f"pipelines/{kind}"] = [{"id": "default", "label": "Sales", "stages": stages, **times}]
        portal.others["lists"] = [{"listId": f"{n}", "name": f"List {n}", **times} for n in range(1, few)]
        contacts = sorted(portal.kinds["contacts"].things)
        for n, each in enumerate(portal.others["lists"]):
            rows = [{"recordId": f"{key}", "membershipTimestamp": now} for key in contacts[n::3]]
            portal.members[each["listId"]] = rows
        portal.others["threads"] = [
            {"id": f"{n}", "status": "OPEN", "createdAt": now, "latestMessageTimestamp": now} for n in range(1, few)
        ]
        for n in range(1, few):
            for turn in range(n % 3):
                portal.say(f"{n}", f"message {turn}", self._until + turn)
                portal.submit(f"{n}", f"ada{turn}@example.com", self._until - turn * 3_600)
        born = int(self._until * 1000)
        portal.others["email_events"] = [
            {"id": f"e-{n}", "created": born - n * 1000, "type": "OPEN", "recipient": "ada@example.com"}
            for n in range(few)
        ]
