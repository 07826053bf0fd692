"""Where things are at GitHub: paths below repositories and organisations.

A partition is a repository, `id/owner/name`, or an organisation, `id/login`. The id is what lasts through a rename or
transfer, and is what ids and parents are made of; the name is the address as of now, and GitHub redirects from older
ones (https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api, "Follow redirects").
"""

import re
from typing import Any
from urllib.parse import quote

from headrace.errors import ImplementationError
from headrace.http import Request
from headrace.providers.kit.rows import Picker, Raw, decoded

CORE = "core"
"""The limit class of what the hourly budget counts: all requests but conditional ones that are answered 304."""
CONDITIONAL = "conditional"
LARGEST_PAGE = 100
UNASKED_PAGE = 30
"""What a page holds where `per_page` is not heeded: GitHub's default."""
SIZE = ("per_page", str(LARGEST_PAGE))


def get(path: str, *query: tuple[str, str]) -> Request:
    """A list of a hundred rows a page."""
    return Request(path, query=(*query, SIZE), limit_class=CORE)


def key_of(partition: str) -> str:
    """The lasting id of a repository or organisation."""
    return partition.partition("/")[0]


def path_of(partition: str | None) -> str:
    """The path of a repository (`/repos/{owner}/{repo}`) or organisation (`/orgs/{org}`)."""
    if not partition:
        raise ImplementationError("this collection is read per repository or organisation: name a partition")
    _, *names = partition.split("/")
    return "/".join(["/repos" if len(names) == 2 else "/orgs", *(quote(name, safe="") for name in names)])


_PATH = re.compile(r"/(?:repos|orgs)/[^/?#]+/[^?#]*")
_TEAM = re.compile(r"/orgs/([^/?#]+)/teams/([^/?#]+)")
_address = Picker(url=("url", Any), html_url=("html_url", Any))


def path_in(row: Raw | bytes) -> str:
    """The path of an object below a repository, as its own `url` tells it."""
    url, _ = decoded(lambda: _address(row))
    found = _PATH.search(str(url))
    if found is None:
        raise ImplementationError(f"an object of GitHub's names no address of its own: its url is {url!r}")
    return found.group()


def team_path(row: Raw | bytes) -> str:
    """The path of a team: its `url` goes by numbers, its `html_url` by the names that the API's paths have."""
    _, html_url = decoded(lambda: _address(row))
    found = _TEAM.search(str(html_url))
    if found is None:
        raise ImplementationError(f"a team names no address of its own: its html_url is {html_url!r}")
    return f"/orgs/{found[1]}/teams/{found[2]}"
