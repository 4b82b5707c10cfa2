"""A plan as text: Markdown whose tables are lined up, so that it reads well on a terminal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from phonsmith.plan.jobs import JobKind
from phonsmith.plan.tasks import Experience, Plan, Task
from phonsmith.supercells.choice import Option

WIDTH = 120
"""Characters of a terminal that every line fits into."""
_NAMES = {"fit", "structure", "partition", "job"}
_WORDS = _NAMES | {"kind", "what", "for", "cell", "way"}
_LABELS = ("label", "database", "driver", "distillation")
_CRYSTALS = ("relaxation", "isolated atom", "Born charges")
_APPLICATIONS = ("thermodynamics", "enthalpies", "third order", "disorder")
_GROUPS = ("relaxation, atoms, Born", "labels", "applications", "fits", "force evaluations")

Column = tuple[str, Callable[[Task], str]]


def to_markdown(plan: Plan) -> str:
    """Return the plan for people."""
    tasks = plan.tasks
    parts = [f"# Plan of {plan.campaign}", f"Reference method: {plan.reference}."]
    parts += _section(
        "Crystals and atoms, by the reference method",
        [task for task in tasks if task.stage in _CRYSTALS],
        [_GENERATIONLESS, _STRUCTURE, *_SIZE, _EACH, *_EFFORT],
    )
    parts += _section(
        "Labels",
        [task for task in tasks if task.stage in _LABELS],
        [_GENERATION, _STRUCTURE, _KIND, *_RUNS, *_SIZE, _EACH, *_EFFORT],
    )
    if plan.options:
        parts += ["## Ways to the displaced cells of a grid", _ways(plan.options)]
    parts += _section(
        "Applications, by the reference method",
        [task for task in tasks if _group(task) == "applications"],
        [_GENERATIONLESS, _STRUCTURE, _KIND, *_RUNS, *_SIZE, _EACH, *_EFFORT],
    )
    parts += _section(
        "Fits",
        [task for task in tasks if task.stage == "fit"],
        [
            _GENERATION,
            _FIT,
            _KIND,
            ("atoms in all", lambda task: f"{task.atoms:,}"),
            ("cores", lambda task: str(task.cores)),
            ("time", lambda task: duration(task.hours_per_run)),
            *_EFFORT,
        ],
    )
    parts += _section(
        "Force evaluations by the fits",
        _together([task for task in tasks if _group(task) == "force evaluations"]),
        [
            _GENERATION,
            _FIT,
            ("for", lambda task: task.stage),
            ("cell", lambda task: task.kind),
            *_RUNS,
            ("largest, atoms", lambda task: str(task.atoms)),
            _CORE_TIME,
            _LEFT,
            _PARTITION,
        ],
    )
    parts.append("## Totals")
    parts.append(_totals(tasks))
    if plan.jobs:
        parts.append("## Jobs and requested cluster resources")
        parts.append(_jobs(plan.jobs))
    if plan.warnings:
        parts.append("## Warnings")
        parts.append("\n".join(_wrapped(f"- {line}") for line in plan.warnings))
    parts.append("## Basis of these numbers")
    parts.append("\n".join(_wrapped(f"- {line}") for line in _notes(plan)))
    return "\n\n".join(parts) + "\n"


# --- columns -------------------------------------------------------------------------------------


def duration(hours: float | None) -> str:
    """Hours in the unit and to the digits that an estimate deserves."""
    if hours is None:
        return "?"
    for value, unit in ((hours, "h"), (60 * hours, "min"), (3600 * hours, "s")):
        if value >= 1:
            return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    return "< 1 s" if hours > 0 else "0"


def _number(value: float | None, unknown: str = "–") -> str:
    return unknown if value is None else f"{value:,.0f}"


_GENERATION: Column = ("gen", lambda task: str(task.generation))
_GENERATIONLESS: Column = ("what", lambda task: task.stage)
_STRUCTURE: Column = ("structure", lambda task: task.structure)
_FIT: Column = ("fit", lambda task: task.fit)
_KIND: Column = ("kind", lambda task: task.kind)
_RUNS: tuple[Column, ...] = (
    ("cells", lambda task: _number(task.runs, "?")),
    ("done", lambda task: f"{task.done}" + (f", {task.failed} failed" if task.failed else "")),
)
_SIZE: tuple[Column, ...] = (
    ("atoms", lambda task: str(task.atoms)),
    ("electrons", lambda task: _number(task.electrons)),
    ("k-pts", lambda task: _number(task.kpoints)),
)
_EACH: Column = ("each", lambda task: duration(task.hours_per_run))
_CORE_TIME: Column = ("core time", lambda task: duration(task.core_hours))
_LEFT: Column = ("left", lambda task: duration(task.core_hours_left))
_PARTITION: Column = ("partition", lambda task: task.partition)
_EFFORT: tuple[Column, ...] = (
    _CORE_TIME,
    _LEFT,
    ("MB", lambda task: _number(task.memory_mb)),
    _PARTITION,
)


def _group(task: Task) -> str:
    """Which part of the totals a task belongs to."""
    if task.fit:
        return "fits" if task.stage == "fit" else "force evaluations"
    if task.stage in _CRYSTALS:
        return "relaxation, atoms, Born"
    return "applications" if task.stage in _APPLICATIONS else "labels"


def _section(title: str, tasks: Sequence[Task], columns: Sequence[Column]) -> list[str]:
    """Heading and table; nothing without tasks, and no empty column."""
    if not tasks:
        return []
    filled = [(name, [text(task) for task in tasks]) for name, text in columns]
    shown = [
        (name, cells)
        for name, cells in filled
        if set(cells) - {"", "–"} and (name != "gen" or set(cells) != {"0"})
    ]
    rows = [list(row) for row in zip(*(cells for _, cells in shown), strict=True)]
    return [f"## {title}", _table([name for name, _ in shown], rows)]


def _table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; names are cut where it would be wider than a terminal."""
    for longest in (80, 40, 32, 24, 20, 16, 12, 8):
        short = [
            [
                _cut(cell, longest) if name in _NAMES else cell
                for name, cell in zip(header, row, strict=True)
            ]
            for row in rows
        ]
        widths = [max(map(len, column)) for column in zip(header, *short, strict=True)]
        if sum(widths) + 3 * len(widths) + 1 <= WIDTH:
            break
    left = [name in _WORDS for name in header]
    rule = [
        ":" + "-" * (n - 1) if to_left else "-" * (n - 1) + ":"
        for n, to_left in zip(widths, left, strict=True)
    ]
    lines = []
    for row in [header, rule, *short]:
        cells = [
            cell.ljust(n) if to_left else cell.rjust(n)
            for cell, n, to_left in zip(row, widths, left, strict=True)
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cut(name: str, longest: int) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _together(tasks: Iterable[Task]) -> list[Task]:
    """One row for each generation, fit, stage and kind: all structures of it."""
    rows: dict[tuple[int, str, str, str], Task] = {}
    for task in tasks:
        key = (task.generation, task.fit, task.stage, task.kind)
        before = rows.get(key)
        rows[key] = task if before is None else _sum(before, task)
    return list(rows.values())


def _sum(one: Task, other: Task) -> Task:
    return replace(
        one,
        structure="",
        runs=None if one.runs is None or other.runs is None else one.runs + other.runs,
        done=one.done + other.done,
        atoms=max(one.atoms, other.atoms),
        core_hours=_plus(one.core_hours, other.core_hours),
        core_hours_left=_plus(one.core_hours_left, other.core_hours_left),
    )


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


# --- totals and notes ----------------------------------------------------------------------------


def _totals(tasks: Sequence[Task]) -> str:
    rows = []
    for group in _GROUPS:
        chosen = [task for task in tasks if _group(task) == group]
        for partition in dict.fromkeys(task.partition for task in chosen):
            part = [task for task in chosen if task.partition == partition]
            rows.append([group, partition, *_total(part)])
    rows.append(["all", "", *_total(tasks)])
    return _table(["what", "partition", "core time", "left", "largest run, MB"], rows)


def _ways(options: Sequence[tuple[str, Option]]) -> str:
    rows = []
    for structure, option in options:
        hours = None if option.core_seconds is None else option.core_seconds / 3600
        counts = [str(option.supercells), str(option.cells), str(option.atoms)]
        chosen = "yes" if option.chosen else ""
        rows.append([structure, option.way, *counts, duration(hours), chosen])
    header = ["structure", "way", "supercells", "cells", "largest, atoms", "core time", "chosen"]
    return _table(header, rows)


def _jobs(jobs: Sequence[JobKind]) -> str:
    """The largest of each kind; the others of docs/cluster.md have fixed numbers."""
    rows = [
        [
            *(one.what, _number(one.jobs), one.partition, str(one.cores)),
            *(_number(one.memory_mb), duration(one.minutes / 60)),
        ]
        for one in jobs
    ]
    return _table(["job", "jobs", "partition", "cores", "MB", "time limit"], rows)


def _total(tasks: Sequence[Task]) -> list[str]:
    """Known core hours, a ``+`` behind them where some are not known; and the largest run."""
    sums = []
    for values in (
        [task.core_hours for task in tasks],
        [task.core_hours_left for task in tasks],
    ):
        known = [value for value in values if value is not None]
        sums.append(duration(sum(known)) + ("+ ?" if len(known) < len(values) else ""))
    memories = [task.memory_mb for task in tasks if task.memory_mb is not None]
    return [*sums, _number(max(memories)) if memories else "–"]


def _notes(plan: Plan) -> list[str]:
    notes = []
    if plan.as_read:
        notes.append(
            f"Crystals that are not relaxed yet: {len(plan.as_read)}. Their cells, k-points and "
            "sizes are estimated from the crystals as read and may change slightly."
        )
    if plan.further:
        notes.append(plan.further)
    if any(task.stage in ("thermodynamics", "enthalpies") for task in plan.tasks):
        notes.append(
            "Thermodynamics and enthalpies: the volumes and pressures of the campaign file. Not "
            "included: volumes added if the equilibrium is not bracketed, and crystals that drop "
            "out."
        )
    notes.append(_experience(plan.experience))
    notes.append(
        "`each` is the time of the largest run on its cores; `core time` is the time of all runs "
        "times their cores, on the machine of the calibration; `left` is the remaining work. "
        "Accuracy: docs/plan.md."
    )
    if any(task.stage == "fit" and task.kind == "mace" for task in plan.tasks):
        notes.append("MACE: time of CPU cores with all epochs; a GPU needs a small fraction of it.")
    return notes


def _experience(experience: Experience) -> str:
    if experience.labels == 0:
        return "No label of this campaign is done yet: the cost model estimates the cost of labels."
    return (
        f"The cost of labels is corrected by {experience.labels} finished labels of this campaign, "
        f"which took {experience.ratio:.2g} times the model's estimate (10th to 90th percentile "
        f"{experience.low:.2g} to {experience.high:.2g})."
    )


def _wrapped(line: str) -> str:
    import textwrap

    return textwrap.fill(
        line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
