"""Where outgoing requests may go.

Two gates, since each alone can be talked past. `Destinations` looks at the URL before a request is sent and at each
redirect before it is followed: scheme, host, port. `connector` looks at the address before a socket to it is made,
after the name was resolved, so that a name that points into the machine's own network leads nowhere, whatever it
pointed to a moment ago.

URLs are read by yarl, with which aiohttp reads them too: a URL that two parsers understand differently cannot pass
the gate as one host and be asked for as another.
"""

import re
import socket
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Address = IPv4Address | IPv6Address


class EgressRefused(OSError):
    """A request to a place where none may go; nothing was sent. The message names the host or address, no more.

    An OSError, so that aiohttp carries it (as `os_error` of a ClientConnectorError) like any failure to connect.
    """


class Reach(Enum):
    """How near an address is.

    PUBLIC: on the internet. PRIVATE: this machine or its networks. NEVER: link-local, metadata services of clouds,
    multicast, reserved and unspecified addresses, from which no provider answers.
    """

    PUBLIC = "public"
    PRIVATE = "private"
    NEVER = "never"


_NEVER = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "169.254.0.0/16",  # link-local, with the metadata services of AWS, GCP, Azure
            "224.0.0.0/3",  # multicast, reserved, broadcast
            "100.100.100.200/32",  # metadata, Alibaba Cloud
            "168.63.129.16/32",  # platform services, Azure: a public address that is answered from within
            "192.0.0.192/32",  # metadata, Oracle Cloud
            "fd00:ec2::254/128",  # metadata, AWS
            "fd20:ce::254/128",  # metadata, GCP
        ),
    )
)
_PRIVATE = tuple(
    map(
        ip_network,
        (
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",  # carrier-grade NAT, used within clouds and overlay networks
            "::1/128",
            "fc00::/7",
        ),
    )
)
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


def reach(address: Address) -> Reach:
    """How near `address` is. An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4, Teredo) is as near as
    that one."""
    if isinstance(address, IPv6Address) and (carried := _carried(address)) is not None:
        return reach(carried)
    if any(address in network for network in _NEVER):
        return Reach.NEVER
    if any(address in network for network in _PRIVATE):
        return Reach.PRIVATE
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return Reach.NEVER
    return Reach.PUBLIC if address.is_global else Reach.NEVER


def _carried(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def check_address(text: str, *, private: bool) -> None:
    """Raise EgressRefused unless a connection may be made to this IP address."""
    found = reach(ip_address(text))
    if found is Reach.PUBLIC or (found is Reach.PRIVATE and private):
        return
    raise EgressRefused(f"connections to {text} are not allowed ({_WHY[found]})")


_WHY = {
    Reach.PRIVATE: "a private or loopback address; HEADRACE_ALLOW_BASE_URL=1 allows them for a credential's base_url",
    Reach.NEVER: "a link-local, metadata or reserved address",
}


class GuardedResolver(AbstractResolver):
    """Resolves names and keeps the addresses that may be connected to; none left is an EgressRefused."""

    def __init__(self, *, private: bool, within: AbstractResolver | None = None) -> None:
        self._private = private
        self._within = within or aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._within.resolve(host, port, family)
        admitted: list[ResolveResult] = []
        refusal: EgressRefused | None = None
        for result in found:
            try:
                check_address(result["host"], private=self._private)
            except EgressRefused as refused:
                refusal = refused
            else:
                admitted.append(result)
        if not admitted and refusal is not None:
            raise EgressRefused(f"{host}: {refusal}")
        return admitted

    async def close(self) -> None:
        await self._within.close()


def connector(*, private: bool, **options: Any) -> aiohttp.TCPConnector:
    """A connector that connects to no address but the admitted ones; `options` are those of TCPConnector.

    The socket factory is the last gate before every connection: an address written in the URL passes no resolver.
    """

    def open_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        check_address(address[0], private=private)
        return socket.socket(family=family, type=kind, proto=protocol)

    return aiohttp.TCPConnector(resolver=GuardedResolver(private=private), socket_factory=open_socket, **options)


def refusal(error: BaseException) -> EgressRefused | None:
    """The refusal inside an error of aiohttp's, or None: it could not connect for another reason."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, EgressRefused):
            return seen
        seen = seen.__cause__
    return None


@dataclass(frozen=True, slots=True)
class Destinations:
    """The hosts to which the requests of one credential may go.

    `hosts` are the provider's: a host name, or `*.example.com` for every name below it; asked by https on port 443.
    `origin` takes their place for a credential with a `base_url` (development): that scheme, host and port alone,
    which may then be private.
    """

    hosts: tuple[str, ...]
    origin: URL | None = None

    @classmethod
    def at_base_url(cls, base_url: str) -> Self:
        """The one origin of a development `base_url`. EgressRefused when that is no http or https URL with a host, or
        the host is an address to which no connection will be made."""
        origin = _read(base_url, ("http", "https")).origin()
        if origin.host is not None and _is_address(origin.host):
            check_address(origin.host, private=True)
        return cls((), origin)

    @property
    def private(self) -> bool:
        """Whether the connector for these may connect to private and loopback addresses."""
        return self.origin is not None

    def admit(self, url: str) -> URL:
        """The URL as it will be asked for; EgressRefused when it leads to another place."""
        if self.origin is not None:
            read = _read(url, (self.origin.scheme,))
            if read.origin() != self.origin:
                raise EgressRefused(f"requests of this credential go to {self.origin} only, not to {read.host}")
            return read
        read = _read(url, ("https",))
        if read.explicit_port not in (None, 443):
            raise EgressRefused(f"requests to {read.host} go to port 443 only")
        if not any(_matches(read.host or "", pattern) for pattern in self.hosts):
            raise EgressRefused(f"{read.host} is none of the provider's hosts ({', '.join(self.hosts)})")
        return read

    def follow(self, url: URL, location: str) -> URL:
        """Where a redirect from `url` to the header `location` leads, admitted as `admit` does."""
        try:
            target = url.join(URL(location))
        except ValueError:
            raise EgressRefused(f"{url.host} redirects to what is no URL") from None
        return self.admit(str(target))


def _read(url: str, schemes: tuple[str, ...]) -> URL:
    try:
        read = URL(url)
    except ValueError:
        raise EgressRefused("this is no URL") from None
    if read.scheme not in schemes or not read.host:
        raise EgressRefused(
            f"a URL here must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host"
        )
    if read.user is not None or read.password is not None:
        raise EgressRefused(f"the URL of {read.host} must not carry a user name or password")
    return read


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _matches(host: str, pattern: str) -> bool:
    name = host.lower().removesuffix(".")
    if pattern.startswith("*."):
        return re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*" + re.escape(pattern[1:].lower()), name) is not None
    return name == pattern.lower()
