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


def page(
    title: str, body: str, *, kind: str = "", status: int = 200, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """A page; `body` is HTML, whose texts are escaped by who makes it. `kind` is its colour: `done`, `failed`, none."""
    style, policy = _style()
    text = _template().substitute(title=escape(title), style=style, kind=kind, body=_heading(title) + body)
    return HTMLResponse(text, status, headers={**_HEADERS, "Content-Security-Policy": policy, **(headers or {})})


def failed(title: str, reason: str, *steps: str, status: int = 200) -> HTMLResponse:
    """What did not come about, why, and what can be done."""
    return page(title, _paragraph(reason) + _list("What you can do", steps), kind="failed", status=status)


def asked(provider: str, fields: Sequence[Field]) -> HTMLResponse:
    """What must be known before the provider can be asked: whose shop, which instance."""
    inputs = "".join(_input(*each, first=number == 0) for number, each in enumerate(fields))
    body = (
        _paragraph(f"Which account is it? {provider} can only be asked when that is known.")
        + f'<form method="get">{inputs}<button>Continue</button></form>'
        + _list("What happens next", _ahead(provider))
    )
    return page(f"Connect {provider}", body, status=422 if any(each[4] for each in fields) else 200)


def onward(provider: str, url: str, headers: Mapping[str, str]) -> HTMLResponse:
    """A link to the provider: the policy of these pages lets no form lead to another host."""
    body = (
        _paragraph("Everything that is needed is known.")
        + f'<p><a class="button" href="{escape(url)}">Continue to {escape(provider)}</a></p>'
        + _list("What happens next", _ahead(provider))
    )
    return page(f"Connect {provider}", body, headers=headers)


def connected(provider: str, url: str) -> HTMLResponse:
    """The body of the redirect back to the application, for a browser that does not follow it."""
    steps = (
        "You are taken back to the application that sent you.",
        "It fetches what it needs from here, and begins to read your account.",
        "You need do nothing more.",
    )
    link = f'<p><a class="button" href="{escape(url)}">Go back to the application</a></p>'
    return page(f"{provider} is connected", link + _list("What happens next", steps), kind="done")


def landed(code: str) -> HTMLResponse:
    """Where there is no application to go back to: the code, for whoever began it."""
    steps = (
        "Copy the code, and give it to whoever sent you the link: it is good once, for ten minutes.",
        "With it they add the account, and reading begins.",
        "You can close this page.",
    )
    body = _paragraph("This is the code for it:") + f"<pre>{escape(code)}</pre>" + _list("What happens next", steps)
    return page("The account is connected", body, kind="done")


def _ahead(provider: str) -> Sequence[str]:
    return (
        f"You sign in at {provider}. Your password is typed there and never comes here.",
        f"{provider} asks whether this application may read your account.",
        "You come back by yourself to where you started.",
    )


def _heading(text: str) -> str:
    return f"<h1>{escape(text)}</h1>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _list(title: str, steps: Sequence[str]) -> str:
    return f"<h2>{escape(title)}</h2><ol>{''.join(f'<li>{escape(each)}</li>' for each in steps)}</ol>"


def _input(name: str, title: str, description: str, value: str, reasons: Sequence[str], *, first: bool) -> str:
    name = escape(name)
    # The reasons of the schema are for programs: a pattern is no help to a person.
    wrong = '<span class="wrong">This does not look like one. Check it, please.</span>' if reasons else ""
    state = (' aria-invalid="true"' if reasons else "") + (" autofocus" if first else "")
    return (
        f'<div class="field"><label for="{name}">{escape(title)}</label>'
        f'<input id="{name}" name="{name}" value="{escape(value)}" required aria-describedby="about-{name}"{state}>'
        f'<div id="about-{name}"><small>{escape(description)}</small>{wrong}</div></div>'
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
