"""Faults of paging: what goes wrong between one page of a list and the next."""

import random

import orjson

from headrace.testing.faults import Faults
from headrace.testing.stripe import answers
from headrace.testing.stripe.account import Account, NotAllowed
from headrace.testing.stripe.lists import ListQuery, Slice
from headrace.testing.stripe.resources import Resource

LIST_KINDS = frozenset(
    {
        "empty_page",
        "endless_page",
        "duplicates",
        "hidden",
        "not_enabled",
        "expired_cursor",
        "lost_ties",
        "foreign_url",
        "insert_while_paging",
        "update_while_paging",
        "delete_while_paging",
        "late_objects",
    }
)
"""`empty_page` no data, has_more true · `endless_page` the first page again, has_more true · `duplicates` the page
begins with the last `rows` (default 3) of the one before · `hidden` a permission is missing and the list shows empty ·
`not_enabled` 400, the account has not signed up for it · `expired_cursor` a cursor is refused with 400 · `lost_ties` a
cursor within a window of `created` loses the rest of its second · `foreign_url` the list's url names another host ·
`…_while_paging` the collection changes before the page is made; a deletion takes the cursor's object · `late_objects`
a new object is listed only after `delay_s` (default 5)."""

_TRIES = 20


class PagingFaults:
    """The faults of lists that stand at a server; what they choose is decided by the seed."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._dice = random.Random(f"paging {seed}")

    def before(self, account: Account, resource: Resource, path: str, query: ListQuery) -> None:
        """Change the account or the query before the page is made. Raises StripeError."""
        if not self._faults:
            return
        for how in ("insert", "update", "delete"):
            if self._faults.strikes(f"{how}_while_paging", path):
                _disturb(account, resource, how, query.starting_after, self._dice)
        if self._faults.strikes("not_enabled", path):
            raise answers.not_enabled(resource.name.partition("_")[0].title())
        if not query.starting_after:
            return
        if self._faults.strikes("expired_cursor", path):
            raise answers.missing(resource.object, query.starting_after, "starting_after")
        if self._faults.strikes("endless_page", path):
            query.starting_after = None
            query.limit = min(query.limit, max(1, account.count(resource.name) - 1))

    def repeated(
        self, account: Account, resource: Resource, parent: int | None, path: str, query: ListQuery
    ) -> list[bytes]:
        """The last rows of the page before, where `duplicates` strikes."""
        if not query.starting_after or not (fault := self._faults.strikes("duplicates", path)):
            return []
        rows = min(int(fault.option("rows", 3)), query.limit - 1)
        cursor = account.ordinal(resource.name, query.starting_after)
        if cursor is None or rows < 1:
            return []
        above = account.view(resource.name, parent).above(cursor - 1)
        again = [ordinal for ordinal, _ in zip(above, range(rows), strict=False)][::-1]
        return [account.raw(resource.name, ordinal) for ordinal in again if account.shown(resource.name, ordinal)]

    def body(self, page: Slice, url: str, path: str) -> bytes:
        """The list object, with what goes wrong with it."""
        if self._faults:
            if self._faults.strikes("hidden", path):
                page = Slice([], False)
            if self._faults.strikes("empty_page", path):
                page = Slice([], True)
            if self._faults.strikes("foreign_url", path):
                url = "https://attacker.invalid" + url
        return page.body(url)


def _disturb(account: Account, resource: Resource, how: str, cursor: str | None, dice: random.Random) -> None:
    """Change a collection while it is being paged through: `insert`, `update` or `delete` an object; the one that the
    cursor names goes first when deleting. What Stripe never deletes is updated instead."""
    if how == "delete" and "delete" not in resource.writes and resource.events.deleted is None:
        how = "update"
    collection = resource.name
    store = account.store(collection)
    if how == "insert":
        if resource.child is None:
            account.create(collection)
        return
    if store.end == 0:
        return
    ordinal = account.ordinal(collection, cursor) if how == "delete" and cursor else None
    if ordinal is None or ordinal in store.gone:
        alive = [each for each in (dice.randrange(store.end) for _ in range(_TRIES)) if each not in store.gone]
        if not alive:
            return
        ordinal = alive[0]
    object_id = account.id_of(collection, ordinal)
    if how == "update":
        if "metadata" in orjson.loads(account.raw(collection, ordinal)):
            account.update(collection, object_id, {"metadata": {"moved": str(account.changes)}})
        return
    try:
        account.delete(collection, object_id)
    except NotAllowed:
        account.update(collection, object_id, {"metadata": {"moved": str(account.changes)}})
