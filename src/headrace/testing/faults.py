"""Faults on demand, told in data: what kind, on which requests, how often."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Self

REQUEST_KINDS = frozenset(
    {
        "rate_limited",
        "server_error",
        "unauthorized",
        "forbidden",
        "redirect",
        "html",
        "slow",
        "hang",
        "reset",
        "truncated_json",
        "invalid_json",
    }
)
"""Faults of an answer, known to every provider server:

`rate_limited` the provider's own refusal for too many requests · `server_error` 500, or `status` · `unauthorized` as if
the credential were revoked · `forbidden` a permission is missing · `redirect` 302 to `location`, a foreign host ·
`html` an error page in HTML with status 200 · `slow` an answer after `delay_s` · `hang` no answer at all · `reset` the
connection is reset after `at` bytes of the body (default 0: before anything is sent) · `truncated_json` the body ends
after `at` bytes (default half), the length given being the whole · `invalid_json` a whole body that is no JSON."""

STATE_KINDS = frozenset({"clock"})
"""`clock` the provider's clock is `offset_s` seconds off for as long as the fault stands."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of misbehaviour.

    It strikes a request whose path matches `path` (a glob) and whose method is `method`, after letting `skip` such
    requests pass, with `probability`, and no more than `times` times (None: without end). Faults of records choose by
    record instead: `probability` is the share of the records that have it, the same ones at every reading. `options`
    are the kind's own (`delay_s`, `at`, `status` …).
    """

    kind: str
    path: str = "*"
    method: str = "*"
    probability: float = 1.0
    times: int | None = None
    skip: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A fault as the command line writes it: `kind`, or `kind:name=value,…`; a name beyond the fields above is an
        option. Numbers are read as numbers. Raises ValueError."""
        kind, _, rest = text.partition(":")
        values: dict[str, Any] = {}
        for pair in filter(None, rest.split(",")):
            name, equals, value = pair.partition("=")
            if not equals:
                raise ValueError(f"a fault is written kind:name=value,name=value; {pair!r} is not name=value")
            values[name.strip()] = _number(value.strip())
        return cls.of(kind.strip(), **values)

    @classmethod
    def of(cls, kind: str, **values: Any) -> Self:
        """The fault with these fields; names beyond the fields become options."""
        own = {name: values.pop(name) for name in ("path", "method", "probability", "times", "skip") if name in values}
        return cls(kind, **own, options=values)

    def describe(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "options"} | dict(self.options)

    def option(self, name: str, default: Any) -> Any:
        return self.options.get(name, default)


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class _Armed:
    """A fault that stands, with its own dice and what is left of `skip` and `times`."""

    def __init__(self, fault: Fault, seed: str) -> None:
        self.fault = fault
        self._dice = random.Random(seed)
        self._skip = fault.skip
        self._left = fault.times

    def strikes(self, path: str, method: str) -> bool:
        fault = self.fault
        if self._left == 0 or fault.method not in ("*", method) or not fnmatchcase(path, fault.path):
            return False
        if self._skip > 0:
            self._skip -= 1
            return False
        if fault.probability < 1.0 and self._dice.random() >= fault.probability:
            return False
        if self._left is not None:
            self._left -= 1
        return True


class Faults:
    """The faults that stand at a server now: added and cleared at run time; the same for the same seed and requests.

    `changed` is called after each change, for what depends on standing faults.
    """

    def __init__(self, kinds: Iterable[str], seed: int = 0, standing: Iterable[Fault] = ()) -> None:
        self.kinds = frozenset(kinds)
        self.changed: Callable[[], None] = lambda: None
        self._added = 0
        self._seed = seed
        self._armed: list[_Armed] = []
        self._by_kind: dict[str, list[_Armed]] = {}
        self._struck: Counter[str] = Counter()
        for fault in standing:
            self.put(fault)

    def put(self, fault: Fault) -> Fault:
        """Let the fault stand. Raises ValueError for a kind that this server does not know."""
        if fault.kind not in self.kinds:
            raise ValueError(f"no fault {fault.kind!r} here; there are {', '.join(sorted(self.kinds))}")
        self._added += 1
        self._stand([*self._armed, _Armed(fault, f"{self._seed}/{self._added}/{fault.kind}")])
        return fault

    def _stand(self, armed: list[_Armed]) -> None:
        self._armed = armed
        self._by_kind = {}
        for each in armed:
            self._by_kind.setdefault(each.fault.kind, []).append(each)
        self.changed()

    def add(self, kind: str, **values: Any) -> Fault:
        """Let a fault stand: `faults.add("slow", path="/v1/customers*", probability=0.2, delay_s=1.5)`."""
        return self.put(Fault.of(kind, **values))

    def clear(self, kind: str | None = None) -> None:
        """Take away all faults, or those of one kind."""
        self._stand([armed for armed in self._armed if kind is not None and armed.fault.kind != kind])

    @contextmanager
    def during(self, kind: str, **values: Any) -> Iterator[Fault]:
        """The fault stands inside the `with` block."""
        fault = self.add(kind, **values)
        try:
            yield fault
        finally:
            self._stand([armed for armed in self._armed if armed.fault is not fault])

    def strikes(self, kind: str, path: str, method: str = "GET") -> Fault | None:
        """The first fault of this kind that strikes this request; each that is asked has had its throw."""
        for armed in self._by_kind.get(kind, ()):
            if armed.strikes(path, method):
                self._struck[kind] += 1
                return armed.fault
        return None

    def met(self, kind: str) -> None:
        """A standing fault of this kind has shown in an answer."""
        self._struck[kind] += 1

    def struck(self, kind: str) -> int:
        """How often a fault of this kind has struck a request, or shown in an answer."""
        return self._struck[kind]

    def standing(self, kind: str) -> tuple[Fault, ...]:
        """The faults of this kind, for what is no matter of one request (records, clock)."""
        return tuple(armed.fault for armed in self._by_kind.get(kind, ()))

    def __iter__(self) -> Iterator[Fault]:
        return iter([armed.fault for armed in self._armed])

    def __bool__(self) -> bool:
        return bool(self._armed)
