"""Outgoing requests go where they may and nowhere else: by URL, by address, by redirect."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from headrace import egress
from headrace.egress import Destinations, EgressRefused, GuardedResolver, Reach, reach


class Names(AbstractResolver):
    """A resolver that answers from a table: what a hostile name server could say."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self.addresses
        ]

    async def close(self) -> None: ...


@asynccontextmanager
async def server() -> AsyncIterator[tuple[int, list[str]]]:
    """A real server on loopback that counts who reaches it."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text="here")

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", Reach.PUBLIC),
        ("2606:4700::1111", Reach.PUBLIC),
        ("127.0.0.1", Reach.PRIVATE),
        ("127.255.0.9", Reach.PRIVATE),
        ("::1", Reach.PRIVATE),
        ("10.0.0.1", Reach.PRIVATE),
        ("172.31.255.255", Reach.PRIVATE),
        ("192.168.0.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("fd12:3456::1", Reach.PRIVATE),
        ("169.254.169.254", Reach.NEVER),
        ("169.254.170.2", Reach.NEVER),
        ("100.100.100.200", Reach.NEVER),
        ("168.63.129.16", Reach.NEVER),
        ("192.0.0.192", Reach.NEVER),
        ("fd00:ec2::254", Reach.NEVER),
        ("fd20:ce::254", Reach.NEVER),
        ("fe80::1", Reach.NEVER),
        ("fe80::1%eth0", Reach.NEVER),
        ("0.0.0.0", Reach.NEVER),
        ("::", Reach.NEVER),
        ("224.0.0.1", Reach.NEVER),
        ("255.255.255.255", Reach.NEVER),
        ("198.51.100.7", Reach.NEVER),
        ("::127.0.0.1", Reach.NEVER),
    ],
)
def test_every_kind_of_address_is_told_apart(address: str, expected: Reach) -> None:
    assert reach(ip_address(address)) is expected


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_as_near_in_whatever_ipv6_form_it_comes(address: IPv4Address) -> None:
    number = int(address)
    mapped = IPv6Address((0xFFFF << 32) | number)
    nat64 = IPv6Address((0x64FF9B << 96) | number)
    six_to_four = IPv6Address((0x2002 << 112) | (number << 80) | 1)
    assert {reach(mapped), reach(nat64), reach(six_to_four)} == {reach(address)}


@given(st.ip_addresses())
def test_no_address_outside_the_public_internet_is_called_public(address: IPv4Address | IPv6Address) -> None:
    if address.version == 6 and address.sixtofour is not None:
        return  # it is as near as the IPv4 address in it, which the law above holds
    if not address.is_global or address.is_multicast or address.is_link_local or address.is_loopback:
        assert reach(address) is not Reach.PUBLIC


STRIPE = Destinations(("api.stripe.com", "*.myshop.example"))


@pytest.mark.parametrize(
    "url",
    [
        "https://api.stripe.com/v1/customers?limit=100",
        "https://API.Stripe.Com:443/",
        "https://api.stripe.com./",
        "https://one.myshop.example/",
        "https://a.b.myshop.example/",
    ],
)
def test_the_providers_own_hosts_are_admitted(url: str) -> None:
    assert isinstance(STRIPE.admit(url), URL)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.stripe.com/",
        "https://api.stripe.com:8443/",
        "https://user@api.stripe.com/",
        "https://api.stripe.com@evil.example/",
        "https://api.stripe.com.evil.example/",
        "https://evil.example/api.stripe.com",
        "https://evil.example#.myshop.example",
        "https://evil.example?.myshop.example",
        "https://evil.example\\.myshop.example",
        "https://myshop.example/",
        "https://xmyshop.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https:///v1",
        "//api.stripe.com/v1",
        "ftp://api.stripe.com/",
        "file:///etc/passwd",
        "https://api.stripe.com:port/",
        "",
    ],
)
def test_every_other_place_is_refused(url: str) -> None:
    with pytest.raises(EgressRefused):
        STRIPE.admit(url)


def test_a_refusal_repeats_nothing_that_could_be_secret() -> None:
    with pytest.raises(EgressRefused) as refused:
        STRIPE.admit("https://user:hunter2@api.stripe.com/path-hunter3?key=hunter4")
    assert "hunter" not in str(refused.value)


def test_a_base_url_is_the_one_origin() -> None:
    there = Destinations.at_base_url("http://127.0.0.1:9000/stripe")
    assert there.private
    assert str(there.admit("http://127.0.0.1:9000/v1/events")) == "http://127.0.0.1:9000/v1/events"
    for elsewhere in ("http://127.0.0.1:9001/", "https://127.0.0.1:9000/", "http://localhost:9000/"):
        with pytest.raises(EgressRefused):
            there.admit(elsewhere)
    for bad in (
        "ftp://here/",
        "http://",
        "nonsense",
        "http://me:pw@here/",
        "http://169.254.169.254/",
        "http://[fe80::1]/",
    ):
        with pytest.raises(EgressRefused):
            Destinations.at_base_url(bad)


def test_a_redirect_is_admitted_like_a_first_request() -> None:
    start = STRIPE.admit("https://api.stripe.com/v1/files/1")
    assert str(STRIPE.follow(start, "/v1/files/2")) == "https://api.stripe.com/v1/files/2"
    assert str(STRIPE.follow(start, "https://cdn.myshop.example/f")) == "https://cdn.myshop.example/f"
    for location in (
        "http://api.stripe.com/",
        "//evil.example/",
        "https://169.254.169.254/latest/meta-data",
        "https://x:y/",
    ):
        with pytest.raises(EgressRefused):
            STRIPE.follow(start, location)


async def test_a_name_that_points_inwards_resolves_to_nothing() -> None:
    for hostile in ("127.0.0.1", "10.1.2.3", "169.254.169.254", "::ffff:10.0.0.1", "fd00::7"):
        with pytest.raises(EgressRefused, match=r"rebind\.example"):
            await GuardedResolver(private=False, within=Names(hostile)).resolve("rebind.example", 443)


async def test_of_a_mixed_answer_only_the_public_addresses_are_left() -> None:
    resolver = GuardedResolver(private=False, within=Names("10.0.0.1", "8.8.8.8", "::1"))
    assert [result["host"] for result in await resolver.resolve("mixed.example", 443)] == ["8.8.8.8"]


async def test_private_addresses_pass_where_they_are_allowed_metadata_never_does() -> None:
    resolver = GuardedResolver(private=True, within=Names("127.0.0.1", "169.254.169.254"))
    assert [result["host"] for result in await resolver.resolve("dev.example", 80)] == ["127.0.0.1"]
    with pytest.raises(EgressRefused):
        await GuardedResolver(private=True, within=Names("169.254.169.254")).resolve("dev.example", 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_guarded_connector_reaches_no_server_of_this_machine(host: str) -> None:
    async with server() as (port, asked), aiohttp.ClientSession(connector=egress.connector(private=False)) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as failed:
            await session.get(f"http://{host}:{port}/")
        assert isinstance(egress.refusal(failed.value), EgressRefused)
        assert asked == []


async def test_the_connector_of_a_base_url_reaches_it() -> None:
    async with server() as (port, asked), aiohttp.ClientSession(connector=egress.connector(private=True)) as session:
        async with session.get(f"http://localhost:{port}/v1") as answer:
            assert await answer.text() == "here"
        assert asked == ["/v1"]


async def test_another_failure_to_connect_is_no_refusal() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    async with aiohttp.ClientSession(connector=egress.connector(private=True)) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as failed:
            await session.get(f"http://127.0.0.1:{port}/")
    assert egress.refusal(failed.value) is None
