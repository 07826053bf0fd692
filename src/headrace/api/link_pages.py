"""The pages that a person sees on the way to connect an account: rendered here, with nothing loaded from anywhere."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from starlette.responses import HTMLResponse

Field = tuple[str, str, str, str, Sequence[str]]
"""(name, title, description, value, reasons)"""


def page(title: str, body: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """A page; `body` is HTML, whose texts are escaped by who makes it."""
    style, policy = _style()
    text = _template().substitute(title=escape(title), style=style, body=body)
    return HTMLResponse(text, status, headers={**_HEADERS, "Content-Security-Policy": policy, **(headers or {})})


def told(title: str, *paragraphs: str, status: int = 200) -> HTMLResponse:
    """A page of plain words."""
    return page(title, _heading(title) + "".join(f"<p>{escape(each)}</p>" for each in paragraphs), status=status)


def asked(provider: str, fields: Sequence[Field]) -> HTMLResponse:
    """What must be known before the provider can be asked: whose shop, which instance."""
    inputs = "".join(_input(*each) for each in fields)
    body = (
        _heading(f"Connect {provider}")
        + "<p>One thing is needed before you can sign in there.</p>"
        + f'<form method="get">{inputs}<button>Go on</button></form>'
    )
    return page(f"Connect {provider}", body, status=422 if any(each[4] for each in fields) else 200)


def onward(provider: str, url: str, headers: Mapping[str, str]) -> HTMLResponse:
    """A link to the provider: the policy of these pages lets no form lead to another host."""
    body = (
        _heading(f"Connect {provider}")
        + f"<p>{escape(provider)} will ask you whether this application may read your account. "
        + "You come back here by yourself.</p>"
        + f'<p><a class="button" href="{escape(url)}">Go on to {escape(provider)}</a></p>'
    )
    return page(f"Connect {provider}", body, headers=headers)


def connected(provider: str, url: str) -> str:
    """The body of the redirect back to the application, for a browser that does not follow it."""
    return (
        _heading(f"{provider} is connected")
        + "<p>You are taken back to the application that asked for it. It fetches what it needs from here, and begins "
        + "to read your account; you need do nothing more.</p>"
        + f'<p><a class="button" href="{escape(url)}">Go back</a></p>'
    )


def landed(code: str) -> HTMLResponse:
    """Where there is no application to go back to: the code, for whoever began it."""
    body = (
        _heading("The account is connected")
        + "<p>Give this code to whoever sent you the link. It is good once, for ten minutes. With it the account is "
        + "added, and reading begins; then you can close this page.</p>"
        + f"<pre>{escape(code)}</pre>"
    )
    return page("Connected", body)


def _heading(text: str) -> str:
    return f"<h1>{escape(text)}</h1>"


def _input(name: str, title: str, description: str, value: str, reasons: Sequence[str]) -> str:
    wrong = "".join(f'<span class="wrong">{escape(title)} {escape(reason)}.</span>' for reason in reasons)
    return (
        f'<label>{escape(title)}<input name="{escape(name)}" value="{escape(value)}" required autofocus>'
        f"<small>{escape(description)}</small>{wrong}</label>"
    )


_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def _template() -> Template:
    return Template(files(__package__).joinpath("link.html").read_text("utf-8"))


@cache
def _style() -> tuple[str, str]:
    """The style, and the policy that admits it by its hash and nothing else."""
    style = files(__package__).joinpath("link.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return style, policy
