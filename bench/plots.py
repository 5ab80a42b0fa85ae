"""Plots: cost by number of ports, members and rules; distributions of latencies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.record import Record

_LINES = ("-", "--", ":", "-.")


def draw(record: Record, out: Path) -> None:
    """Write a PNG file for every plot that has data; none without matplotlib."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - only installed for the benchmark
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    if record.series:
        _growth(record, plt, out)
    if record.samples:
        _latencies(record, plt, out)


def _growth(record: Record, pyplot: Any, out: Path) -> None:
    """One plot for each quantity that grows, with a line for each quantity that it affects."""
    for quantity, unit, file in (("flows", "flows", "flows.png"), ("added", "ms", "edits.png")):
        figure, panes = pyplot.subplots(1, 3, figsize=(12, 4), sharey=True)
        for pane, what in zip(panes, ("ports", "members", "rules"), strict=True):
            for name, points in record.series.items():
                label, _, against = name.partition("/")
                if against == what and quantity in label:
                    pane.plot(*zip(*points, strict=True), marker="o", label=label)
            pane.set_xlabel(what)
            pane.legend()
        panes[0].set_ylim(0, panes[0].get_ylim()[1])  # the axis is shared, so after all lines are drawn
        panes[0].set_ylabel(unit)
        figure.tight_layout()
        figure.savefig(out / file, dpi=110)
        pyplot.close(figure)


def _latencies(record: Record, pyplot: Any, out: Path) -> None:
    """The share of requests by their latency: a cumulative distribution."""
    figure, pane = pyplot.subplots(figsize=(10, 6))
    shown = {name: values for name, values in sorted(record.samples.items()) if "_add_" in name}
    shown |= {name: record.samples[name] for name in ("stream/ours",) if name in record.samples}
    for number, (name, values) in enumerate(shown.items()):
        ordered = sorted(values)
        shares = [(position + 1) / len(ordered) for position in range(len(ordered))]
        style = {"color": f"C{number % 10}", "linestyle": _LINES[number // 10]}
        pane.step(ordered, shares, where="post", label=name, **style)
    pane.set_xscale("log")
    pane.set_xlabel("ms, request to confirmed")
    pane.set_ylabel("share of requests")
    pane.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(out / "latencies.png", dpi=110)
    pyplot.close(figure)
