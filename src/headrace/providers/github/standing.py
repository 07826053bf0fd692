"""Whether an object still stands where it stood, asked for at its own address.

404 says that it is gone or may not be seen, 410 that it was deleted, 301 that it was transferred (followed, it leads to
an object with another id, or to nothing that may be seen) or that its repository was renamed. Each is believed only
while the repository or organisation itself can be read there, and is the same one: a name that was given up may have
been taken by another.

Sources: https://docs.github.com/en/rest/issues/issues#get-an-issue,
https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api ("404 Not Found for an existing
resource"), https://docs.github.com/en/repositories/creating-and-managing-repositories/renaming-a-repository.
"""

import re
from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from headrace.http import Request, Response
from headrace.providers.github.access import is_limited, message_of
from headrace.providers.github.places import CORE, key_of, path_of
from headrace.providers.kit import Context, Delete, Fault, Faulted, Page, Probe, Record, Steps
from headrace.providers.kit.rows import Picker, Raw, decoded

_NOT_THERE = (403, 404, 410, 451)
_id = Picker(id=("id", Any))


def gone_at(
    path: str, same: Callable[[Response], bool], above: str | None = None, key: str = ""
) -> Generator[Request, Response, datetime | None]:
    """The moment for which GitHub says that what stood at `path` is gone: not to be had there, or led on to another one
    (by `same`), while `above` can be read and is the one with the id `key`. None: it is there, or that cannot be told.
    Raises Faulted where it may not be asked for."""
    response = yield Request(path, limit_class=CORE, accept=_NOT_THERE)
    if response.status < 300 and (not _led_on(response, path) or same(response)):
        return None
    if is_limited(response):
        raise Faulted(Fault("rate", message_of(response)))
    if response.status == 403:
        raise Faulted(Fault("permission", message_of(response)))
    if above is not None:
        place = yield Request(above, limit_class=CORE, accept=_NOT_THERE)
        if is_limited(place):
            raise Faulted(Fault("rate", message_of(place)))
        if place.status >= 300 or id_in(place) != key:
            return None
    return response.sent_at


def _led_on(response: Response, path: str) -> bool:
    return not unquote(urlsplit(response.url).path).endswith(unquote(path))


def id_in(response: Response) -> str:
    return str(decoded(lambda: _id(response.body))[0])


def at(address: str, identity: Callable[[Record, Raw], str]) -> Probe:
    """The probe of objects that stand at `address` below their repository or organisation: a path with names of their
    fields in braces (`/issues/{number}`), or `{parent}`; of a field that is a URL its last part is meant. `identity` is
    the id of what is found there, read as the record's was."""
    names = [name for name in re.findall(r"{(\w+)}", address) if name != "parent"]
    pick = Picker(**{name: (name, Any) for name in names})

    def page(ctx: Context, record: Record) -> Steps:
        fields = dict(zip(names, decoded(lambda: pick(record.raw)), strict=True))
        if ctx.partition is None or None in fields.values():
            return Page()
        fields["parent"] = record.parent
        texts = {name: str(value) for name, value in fields.items()}
        last = {name: text.rpartition("/")[2] if name.endswith("_url") else text for name, text in texts.items()}
        above = path_of(ctx.partition)
        moment = yield from gone_at(
            above + address.format_map({name: quote(text, safe="") for name, text in last.items()}),
            lambda response: identity(record, Raw(response.body)) == record.id,
            above,
            key_of(ctx.partition),
        )
        return Page([] if moment is None else [Delete(record.collection, record.id, moment)])

    return page
