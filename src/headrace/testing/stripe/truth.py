"""What the account holds, in the connector's words: the truth that laws compare copies with."""

from collections.abc import Iterator

import orjson

from headrace.testing.stripe.account import Account
from headrace.testing.stripe.catalog import RESOURCES

_OWN = {
    "payment_sources": "stripe:payment_source",
    "invoice_lines": "stripe:invoice_line_item",
    "checkout_session_line_items": "stripe:checkout_session_line_item",
    "quote_line_items": "stripe:quote_line_item",
    "payment_link_line_items": "stripe:payment_link_line_item",
    "external_accounts": "stripe:external_account",
}
"""Where the collection is not named by its objects: several kinds of objects, or one object in several lists."""

COLLECTIONS: dict[str, str] = {
    _OWN.get(name, "stripe:" + resource.object.replace(".", "_")): name for name, resource in RESOURCES.items()
}
"""The connector's collection id → the name of the collection here. Events stand apart: `stripe:event`."""


class Truth:
    """Called with a collection id of the connector: (id, raw JSON) of every object that the account holds, whole."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def __call__(self, collection_id: str) -> Iterator[tuple[str, bytes]]:
        account = self._account
        if collection_id == "stripe:event":
            for event in account.events.below(account.events.newest(), 0, frozenset()):
                yield account.events.id(event), account.events.render(event)
            return
        name = COLLECTIONS[collection_id]
        for ordinal in account.ordinals(name):
            raw = account.whole(name, ordinal)
            yield orjson.loads(raw)["id"], raw
