"""How cost goes with size: time in multiples of the base, time itself, and memory, one line for each method."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from taut.reports.pictures.style import Palette, Picture, new_figure, picture

_FEW = 4
"""Times which the smallest value may be exceeded on a linear axis from 0."""
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_PANELS = (("ratio", "time, multiples of the base"), ("median_ms", "milliseconds"), ("peak_mib", "MiB at the peak"))


def scaling_pictures(tables: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """One picture for each study of two sizes or more; `tables` are those of bench.json."""
    studies: dict[str, list[Mapping[str, Any]]] = {}
    for table in tables:
        if table["along"] is not None:
            studies.setdefault(table["along"]["study"], []).append(table)
    axes_seen: dict[str, int] = {}
    pictures = []
    for study, rows in studies.items():
        if len(rows) > 1:
            axis = rows[0]["along"]["axis"]
            axes_seen[axis] = axes_seen.get(axis, 0) + 1
            name = f"scale-{axis}" + (f"-{axes_seen[axis]}" if axes_seen[axis] > 1 else "")
            pictures.append(_picture(name, study, axis, rows))
    return pictures


def _picture(name: str, study: str, axis: str, tables: Sequence[Mapping[str, Any]]) -> Picture:
    base = tables[0]["base"]
    lines: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for table in sorted(tables, key=lambda table: table["along"]["size"]):
        for contender, row in table["rows"].items():
            lines.setdefault(contender, []).append((table["along"]["size"], row))
    order = sorted(lines, key=lambda contender: (contender != base, -(lines[contender][-1][1]["ratio"] or 0.0)))
    sizes = sorted({table["along"]["size"] for table in tables})
    panels = [panel for panel in _PANELS if all(row[panel[0]] is not None for _, row in lines[base])]

    def draw(palette: Palette) -> Figure:
        figure = new_figure(3.4 * len(panels), 4.4)
        styles: dict[str, dict[str, Any]] = {base: {"color": palette.muted, "linestyle": "--"}}
        styles |= _strokes([name for name in order[1:] if name.startswith("taut")], palette, "-")
        styles |= _strokes([name for name in order if name not in styles], palette, ":")
        for axes, (field, title) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for contender in order:
                points = [(size, row[field]) for size, row in lines[contender] if row[field] is not None]
                axes.plot(
                    [size for size, _ in points], [value for _, value in points], label=contender, **styles[contender]
                )
            axes.set_title(title)
            axes.set_xlabel(axis)
            _scales(axes, sizes, [row[field] for points in lines.values() for _, row in points if row[field]])
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)))
        return figure

    return picture(name, f"{study}: cost against {axis}, base {base}", draw)


def _strokes(names: Sequence[str], palette: Palette, line: str) -> dict[str, dict[str, Any]]:
    """A colour and a mark for each; hollow marks when the colours begin again."""
    found: dict[str, dict[str, Any]] = {}
    for k, (name, color, mark) in enumerate(zip(names, cycle(palette.series), cycle(_MARKS), strict=False)):
        again = k >= len(palette.series)
        found[name] = {"color": color, "marker": mark, "linestyle": line, "mfc": palette.paper if again else color}
    return found


def _scales(axes: Axes, sizes: Sequence[int], values: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    if max(values) < _FEW * min(values):
        axes.set_ylim(bottom=0)
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
