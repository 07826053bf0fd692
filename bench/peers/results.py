"""What the comparison found, run by run, and the table that it is told in."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one peer in one scenario. `figures` are the numbers; `right` the verdict in words, or empty where none
    was asked; `failed` why there are no figures."""

    scenario: str
    peer: str
    figures: Figures = field(default_factory=dict)
    right: str = ""
    failed: str = ""


def tables(results: Iterable[Result], headings: Mapping[str, str], origins: Mapping[str, str] | None = None) -> str:
    """A table for each scenario, in the order of `headings` (title by scenario), a row for each peer: the median of
    each figure over the runs, how many they were, and every verdict that was given; below it of when the scenario's
    rounds are, where `origins` tells it."""
    by_scenario: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        by_scenario[result.scenario][result.peer].append(result)
    made = []
    for name in headings:
        if name in by_scenario:
            made.append(_table(headings[name], by_scenario[name]))
            if origins and name in origins:
                made.append(f"Rounds: {origins[name]}.")
    return "\n\n".join(made) + "\n"


def _table(title: str, peers: Mapping[str, Sequence[Result]]) -> str:
    names = list(dict.fromkeys(name for runs in peers.values() for run in runs for name in run.figures))
    judged = any(run.right or run.failed for runs in peers.values() for run in runs)
    head = ["", *names, "runs", *(["right"] if judged else [])]
    rows = [head, ["---"] * len(head)]
    for peer, runs in peers.items():
        cells = [_median([run.figures[name] for run in runs if name in run.figures]) for name in names]
        verdicts = [f"no figures: {run.failed}" if run.failed else run.right for run in runs]
        told = [_once(verdicts)] if judged else []
        rows.append([peer, *cells, str(len(runs)), *told])
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _median(values: Sequence[float]) -> str:
    return shown(median(values)) if values else "–"


def _once(verdicts: Sequence[str]) -> str:
    """Each verdict once, with how often it was given where there are several."""
    counts: dict[str, int] = {}
    for verdict in filter(None, verdicts):
        said = verdict.replace("|", "/").replace("\n", " ")
        counts[said] = counts.get(said, 0) + 1
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{count} × {said}" for said, count in counts.items())


def shown(value: float) -> str:
    """A figure with three digits that mean something."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
