"""Who may ask, how often, and what the server remembers of it; the same over its control."""

import asyncio
import base64
import hmac
import signal
import sys
from hashlib import sha256
from http.client import HTTPConnection
from time import sleep, time
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from asking import KEY, LIVE_KEY, asking

from headrace.testing import provider
from headrace.testing.limits import Allowance, Limiter
from headrace.testing.lookout import EVERY_S
from headrace.testing.stripe import StripeServer


async def test_keys_open_the_account_as_bearer_or_user_and_nothing_else_does() -> None:
    async with StripeServer({"customers": 1}) as server:
        for key in ("sk_test_a", "sk_live_a", "rk_test_a", "rk_live_a"):
            async with asking(server.base_url, key) as ask:
                assert (await ask("/v1/account")).json["id"] == server.account.id
        async with aiohttp.ClientSession() as session:
            basic = base64.b64encode(b"sk_test_a:").decode()
            url = server.base_url + "/v1/account"
            assert (await session.get(url, headers={"Authorization": f"Basic {basic}"})).status == 200
            for headers in ({}, {"Authorization": "Bearer pk_test_a"}, {"Authorization": "Basic !"}):
                refused = await session.get(url, headers=headers)
                assert refused.status == 401
                assert (await refused.json())["error"]["type"] == "invalid_request_error"


async def test_one_key_alone_may_be_given_and_any_be_revoked() -> None:
    async with StripeServer({"customers": 1}, api_key=KEY) as server, asking(server.base_url) as ask:
        assert (await ask("/v1/customers")).status == 200
        async with asking(server.base_url, "sk_test_another_one") as other:
            refused = await other("/v1/customers")
            assert refused.status == 401
            assert "sk_test_another_one" not in refused.error["message"]
        server.revoke(KEY)
        refused = await ask("/v1/customers")
        assert (refused.status, refused.error["code"]) == (401, "api_key_expired")


async def test_a_restricted_key_reaches_its_collections_alone() -> None:
    async with StripeServer({"customers": 1, "charges": 1}) as server, asking(server.base_url, "rk_test_abc") as ask:
        server.restrict("rk_test_abc", ["customers", "payment_methods"])
        assert (await ask("/v1/customers")).status == 200
        for path in ("/v1/charges", "/v1/events"):
            refused = await ask(path)
            assert refused.status == 403
            assert "does not have the required permissions" in refused.error["message"]


async def test_an_account_that_is_connected_has_objects_of_its_own() -> None:
    counts = {"customers": 5, "accounts": 2}
    async with StripeServer(counts, connected_records=200) as server, asking(server.base_url) as ask:
        connected = server.account.id_of("accounts", 1)
        theirs = await ask("/v1/customers", headers={"Stripe-Account": connected})
        assert theirs.headers["stripe-account"] == connected
        assert theirs.ids
        assert not set(theirs.ids) & set((await ask("/v1/customers")).ids)
        assert (await ask("/v1/account", headers={"Stripe-Account": connected})).json["id"] == connected
        refused = await ask("/v1/customers", headers={"Stripe-Account": "acct_unknown"})
        assert (refused.status, refused.error["code"]) == (403, "account_invalid")


async def test_answers_carry_stripes_headers() -> None:
    async with StripeServer({"customers": 1}) as server, asking(server.base_url) as ask:
        answers = [await ask("/v1/customers", headers={"Stripe-Version": "2026-01-28.clover"}) for _ in range(2)]
        assert {answer.headers["stripe-version"] for answer in answers} == {"2026-01-28.clover"}
        assert len({answer.headers["request-id"] for answer in answers}) == 2
        assert (await ask("/v1/nonsense")).error["message"].startswith("Unrecognized request URL (GET: /v1/nonsense)")
        assert (await ask("/v1/balance_transactions", method="POST", form={})).status == 404


async def test_deleted_objects_are_found_as_the_documentation_says() -> None:
    async with StripeServer({"customers": 1, "products": 1}) as server, asking(server.base_url) as ask:
        customer, product = server.account.id_of("customers", 0), server.account.id_of("products", 0)
        stub = {"id": customer, "object": "customer", "deleted": True}
        assert (await ask(f"/v1/customers/{customer}", method="DELETE")).json == stub
        assert (await ask(f"/v1/customers/{customer}")).json == stub
        assert (await ask(f"/v1/products/{product}", method="DELETE")).json["deleted"] is True
        gone = await ask(f"/v1/products/{product}")
        assert (gone.status, gone.error["code"], gone.error["param"]) == (404, "resource_missing", "id")
        assert (await ask(f"/v1/customers/{customer}/payment_methods")).status == 404


def _within_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's clock stands, so that what is counted does not depend on how fast the requests come."""
    monkeypatch.setattr(provider, "monotonic", lambda: 1_000.0)


@pytest.mark.parametrize(("key", "most"), [(KEY, 25), (LIVE_KEY, 100)])
async def test_real_limits_are_counted_where_the_requests_arrive(
    key: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _within_one_moment(monkeypatch)
    async with StripeServer({"customers": 1}, limits="real") as server, asking(server.base_url, key) as ask:
        paths = ["/v1/customers", "/v1/charges", "/v1/invoices", "/v1/prices", "/v1/events", "/v1/plans"]
        answers = await asyncio.gather(*(ask(paths[turn % len(paths)]) for turn in range(150)))
        refused = [answer for answer in answers if answer.status == 429]
        assert len(refused) == 150 - most
        assert {answer.headers["stripe-rate-limited-reason"] for answer in refused} == {"global-rate"}
        assert sum(entry.status == 200 for entry in server.log) == most


async def test_each_endpoint_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    _within_one_moment(monkeypatch)
    async with StripeServer({"customers": 40}, limits="real") as server, asking(server.base_url, LIVE_KEY) as ask:
        ids = list(server.account.ids("customers"))
        answers = await asyncio.gather(*(ask(f"/v1/customers/{each}") for each in ids))
        reasons = {answer.headers.get("stripe-rate-limited-reason") for answer in answers}
        assert reasons == {None, "endpoint-rate"}
        assert (await ask("/v1/customers")).status == 200


async def test_the_log_tells_what_was_asked_and_keeps_no_secret() -> None:
    async with StripeServer({"customers": 3}) as server, asking(server.base_url) as ask:
        began = time()
        await ask("/v1/customers", {"limit": 2})
        await ask("/v1/customers/cus_none")
        await ask("/v1/customers", method="POST", form={"name": "Ada"})
        assert [(e.method, e.path, e.query, e.status) for e in server.log] == [
            ("GET", "/v1/customers", "limit=2", 200),
            ("GET", "/v1/customers/cus_none", "", 404),
            ("POST", "/v1/customers", "", 200),
        ]
        assert all(began <= entry.moment <= time() for entry in server.log)
        assert {entry.key for entry in server.log} == {"sk_test_************ests"}
        assert KEY not in repr(list(server.log))
        assert server.log.total == 3
        assert len(server.log.find("/v1/customers", method="GET")) == 1
        assert server.log.most_in(10.0) == 3
        server.log.clear()
        assert len(server.log) == 0


async def test_the_log_tells_since_when_a_request_may_have_waited() -> None:
    """A machine that has other work keeps the server from looking: what came meanwhile is handled at once."""
    sent_at: list[float] = []

    def ask() -> None:
        connection = HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", "/v1/customers", headers={"Authorization": f"Bearer {KEY}"})
        sent_at.append(time())
        assert connection.getresponse().status == 200
        connection.close()

    def look_away() -> None:
        while not sent_at:
            sleep(0.01)
        sleep(5 * EVERY_S)

    async with StripeServer({"customers": 3}) as server:
        await asyncio.sleep(5 * EVERY_S)
        asked = asyncio.create_task(asyncio.to_thread(ask))
        await asyncio.sleep(0)
        look_away()
        await asked
        [entry] = server.log
    assert entry.moment - entry.late_s <= sent_at[0] <= entry.moment


def test_what_was_handled_late_counts_against_a_limit_from_when_it_may_have_come() -> None:
    limiter, allowance = Limiter(), Allowance("all", 4, 1.0, "")
    spaced = [0.25, 0.5, 0.75, 1.0]
    assert not any(limiter.take([allowance], 1.0, 1.0 - moment) for moment in spaced)
    assert not any(limiter.take([allowance], 1.0 + moment) for moment in spaced)
    assert limiter.take([allowance], 2.0) is allowance


async def test_webhooks_are_signed_and_repeated_until_they_are_taken() -> None:
    taken: list[tuple[str, bytes]] = []
    seen = asyncio.Event()

    async def receive(request: web.Request) -> web.Response:
        taken.append((request.headers["Stripe-Signature"], await request.read()))
        if len(taken) == 1:
            return web.Response(status=503)
        seen.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address: Any = runner.addresses[0]
    async with StripeServer({"customers": 1}) as server, asking(server.base_url) as ask:
        form = {"url": f"http://127.0.0.1:{address[1]}/hook", "enabled_events[]": "customer.created"}
        endpoint = (await ask("/v1/webhook_endpoints", method="POST", form=form)).json
        assert endpoint["secret"].startswith("whsec_")
        assert "secret" not in (await ask(f"/v1/webhook_endpoints/{endpoint['id']}")).json
        server.account.create("products")
        made = server.account.create("customers")
        async with asyncio.timeout(60):
            await seen.wait()
    await runner.cleanup()
    for header, body in taken:
        event = orjson.loads(body)
        assert (event["type"], event["data"]["object"]) == ("customer.created", made)
        moment = header.partition(",")[0].removeprefix("t=")
        mark = hmac.new(endpoint["secret"].encode(), f"{moment}.".encode() + body, sha256).hexdigest()
        assert header == f"t={moment},v1={mark}"


async def test_the_mutator_keeps_its_rate() -> None:
    async with StripeServer(500, changes_per_s=200) as server:
        async with asyncio.timeout(60):
            while server.account.changes < 100:
                await asyncio.sleep(0.02)
        server.mutator.changes_per_s = 0
        rested = server.account.changes
        await asyncio.sleep(0.1)
        assert server.account.changes == rested


async def test_the_control_gives_over_http_what_the_object_gives() -> None:
    from headrace.testing.stripe import digest

    async with StripeServer(800) as server, asking(server.base_url) as ask:
        shown = (await ask("/_control/account")).json
        assert shown["counts"] == {name: server.account.count(name) for name in server.account.collections}
        for name in ("customers", "invoices"):
            rows = (await ask(f"/_control/objects/{name}")).body.splitlines()
            assert rows == list(server.account.objects(name))
            pairs = (await ask(f"/_control/digest/{name}")).body.decode().splitlines()
            assert [tuple(line.split("\t")) for line in pairs] == list(digest(server.account, name))
        made = (await ask("/_control/objects/customers", method="POST", body={"fields": {"name": "Ada"}})).json
        path = f"/_control/objects/customers/{made['id']}"
        assert (await ask(path, method="POST", body={"fields": {"name": "Bo"}})).json["name"] == "Bo"
        assert (await ask(path, method="DELETE")).status == 204
        assert (await ask(path, method="DELETE")).status == 404
        assert (await ask("/_control/account")).json["changes"] == 3
        fault = {"kind": "server_error", "path": "/v1/customers", "status": 503, "times": 1}
        assert (await ask("/_control/faults", method="POST", body=fault)).status == 201
        assert (await ask("/_control/faults")).json[0]["kind"] == "server_error"
        assert (await ask("/v1/customers")).status == 503
        assert (await ask("/_control/faults", method="DELETE")).status == 204
        assert (await ask("/_control/faults", method="POST", body={"kind": "meteor"})).status == 400
        assert (await ask("/_control/log", {"path": "/v1/*"})).body.count(b"\n") == 1
        assert (await ask("/_control/counts")).json == {"requests": 1, "by_status": {"GET 503": 1}}
        assert (await ask("/_control/limits", method="PUT", body={"limits": "real"})).status == 204
        assert server.limits == "real"
        assert (await ask("/_control/mutator", method="PUT", body={"changes_per_s": 3})).status == 204
        assert server.mutator.changes_per_s == 3
        assert (await ask("/_control/keys", method="POST", body={"revoke": KEY})).status == 204
        assert (await ask("/v1/customers")).status == 401
        assert (await ask("/_control/nonsense")).status == 404


async def test_a_large_answer_is_sent_as_the_client_takes_it() -> None:
    async with StripeServer({"customers": 30_000}) as server, asking(server.base_url) as ask:
        body = (await ask("/_control/objects/customers")).body
        assert body.count(b"\n") == 30_000


async def test_calls_of_one_connection_are_answered_in_order() -> None:
    async with StripeServer({"customers": 3}) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        server.faults.add("slow", times=1, delay_s=0.1)
        call = "GET /v1/customers?limit={} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_1\r\n\r\n"
        writer.write("".join(call.format(limit) for limit in (3, 1, 2)).encode())
        for limit in (3, 1, 2):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
            assert len(orjson.loads(await reader.readexactly(length))["data"]) == limit
        writer.write(b"nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()


async def test_as_a_process_it_tells_its_address_and_ends_in_order() -> None:
    arguments = ["--records", "100000", "--seed", "4", "--limits", "none", "--faults", "slow:times=1,delay_s=0.01"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headrace.testing.stripe", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        url = next(word for word in line.split() if word.startswith("http")).rstrip(";")
        async with asking(url) as ask:
            assert sum((await ask("/_control/account")).json["counts"].values()) == 100_000
            here = StripeServer(100_000, seed=4)
            assert (await ask("/v1/customers")).ids == [
                each for each, _ in zip(here.account.ids("customers"), range(10), strict=False)
            ]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_as_a_process_it_refuses_a_fault_that_is_none() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headrace.testing.stripe", "--faults", "meteor", stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"no fault 'meteor' here" in said
