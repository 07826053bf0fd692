"""Who may look, and that no other site can act for them."""

import re

import httpx2
from looking import TOKEN

from headrace.client import AsyncClient
from headrace.console.app import _GET, _LIVE, _POST

ID = "01890000-0000-7000-8000-000000000000"


def address(path: str) -> str:
    return re.sub(r"\{\w*id\}", ID, path).replace("{slug}", "stripe")


async def log_in(visitor: httpx2.AsyncClient, token: str = TOKEN) -> httpx2.Response:
    return await visitor.post("/login", content=f"token={token}&after=/")


async def word(visitor: httpx2.AsyncClient) -> str:
    """The session's own word, as every page carries it."""
    found = re.search(r'"X-CSRF-Token": "([^"]+)"', (await visitor.get("/settings")).text)
    assert found is not None
    return found[1]


async def test_nothing_shows_without_a_session(visitor: httpx2.AsyncClient) -> None:
    for path in [*_GET, *_LIVE]:
        answer = await visitor.get(address(path))
        assert answer.status_code in (303, 401), path
        assert answer.text == "", path


async def test_nothing_is_done_without_a_session_or_its_word(visitor: httpx2.AsyncClient) -> None:
    for path in _POST:
        assert (await visitor.post(address(path))).status_code == 303, path
    await log_in(visitor)
    for path in _POST:
        for headers in ({}, {"X-CSRF-Token": "guessed"}):
            refused = await visitor.post(address(path), headers=headers)
            assert refused.status_code == 403, path
            assert "did not come from a page of this console" in refused.text


async def test_another_sites_form_is_refused_even_with_the_word(visitor: httpx2.AsyncClient) -> None:
    await log_in(visitor)
    headers = {"X-CSRF-Token": await word(visitor), "Sec-Fetch-Site": "cross-site"}
    assert (await visitor.post("/tokens", content="name=x&scopes=read", headers=headers)).status_code == 403


async def test_the_cookie_tells_nothing_and_is_worth_nothing_changed(visitor: httpx2.AsyncClient) -> None:
    answer = await log_in(visitor)
    set_cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in set_cookie
    assert "SameSite=lax" in set_cookie
    cookie = visitor.cookies["headrace_session"]
    assert TOKEN not in cookie
    for forged in (cookie[:-4] + ("AAAA" if cookie[-4:] != "AAAA" else "BBBB"), "AAAA", "", "é".encode().hex()):
        visitor.cookies.clear()
        visitor.cookies.set("headrace_session", forged)
        assert (await visitor.get("/")).status_code == 303


async def test_a_wrong_token_opens_nothing(visitor: httpx2.AsyncClient, api: AsyncClient) -> None:
    assert (await log_in(visitor, "hr_guessed")).status_code == 401
    assert (await log_in(visitor, "")).status_code == 401
    made = await api.tokens.create(name="worker", scopes=["consume"])
    assert (await log_in(visitor, made["token"])).status_code == 403
    assert "headrace_session" not in visitor.cookies


async def test_a_session_ends_with_its_token(visitor: httpx2.AsyncClient, api: AsyncClient) -> None:
    made = await api.tokens.create(name="for a while", scopes=["read"])
    await log_in(visitor, made["token"])
    assert (await visitor.get("/")).status_code == 200
    await api.tokens.delete(made["id"])
    while (await visitor.get("/")).status_code == 200:
        pass  # another process would see it within a second
    assert (await visitor.get("/")).status_code == 303


async def test_a_token_that_may_only_read_changes_nothing(visitor: httpx2.AsyncClient, api: AsyncClient) -> None:
    made = await api.tokens.create(name="onlooker", scopes=["read"])
    await log_in(visitor, made["token"])
    refused = await visitor.post(
        "/consumers", content="name=x&stream_id=" + ID, headers={"X-CSRF-Token": await word(visitor)}
    )
    assert refused.status_code == 403
    assert "admin" in refused.text


async def test_the_login_leads_to_no_other_site(visitor: httpx2.AsyncClient) -> None:
    for after in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        answer = await visitor.post("/login", content=httpx2.QueryParams({"token": TOKEN, "after": after}).__str__())
        assert answer.headers["location"] == "/"


async def test_pages_forbid_what_they_do_not_need(visitor: httpx2.AsyncClient) -> None:
    await log_in(visitor)
    answer = await visitor.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=|javascript:", answer.text)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)


async def test_what_is_not_there_is_told_on_a_page(visitor: httpx2.AsyncClient) -> None:
    await log_in(visitor)
    for path in (f"/syncs/{ID}", "/syncs/none", f"/records/{ID}", f"/consumers/{ID}", "/connect/nobody"):
        answer = await visitor.get(path)
        assert answer.status_code == 404
        assert "That did not work" in answer.text
    assert (await visitor.get("/v1/nothing")).headers["content-type"] == "application/json"


async def test_text_from_a_provider_is_only_ever_text(visitor: httpx2.AsyncClient, api: AsyncClient) -> None:
    await log_in(visitor)
    stream = await api.streams.create(slug="main")
    name = "<script>alert(1)</script>"
    await visitor.post(
        "/consumers",
        content=str(httpx2.QueryParams({"name": name, "stream_id": stream["id"]})),
        headers={"X-CSRF-Token": await word(visitor)},
    )
    shown = (await visitor.get("/consumers")).text
    assert name not in shown
    assert "&lt;script&gt;" in shown
