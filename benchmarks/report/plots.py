"""Bars and lines as SVG, readable on light and dark pages, the same bytes for the same figures."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.report.samples import Samples, figure

WIDTH, LEFT, RIGHT, ROW, GAP, TOP = 860, 210, 110, 15, 20, 44
COLOURS = ("#d1495b", "#edae49", "#30638e", "#00798c", "#7a5195", "#8d99ae", "#5f8d4e", "#9c6644", "#b0b7bf")
STYLE = """<style>
text { font: 11px system-ui, sans-serif; fill: #24292f } .title { font-size: 14px; font-weight: 600 }
.group { font-weight: 600 } .end { text-anchor: end }
.tick { text-anchor: middle } .grid { stroke: #d0d7de } .whisker { stroke: #24292f }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .grid { stroke: #3d444d } .whisker { stroke: #e6edf3 } }
</style>"""


class LogScale:
    """Values to places along an axis, equal ratios to equal lengths."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(math.ceil(math.log10(max(values))), self._low + 1)
        self._first, self._length = first, last - first

    def place(self, value: float) -> float:
        """Where a value stands."""
        return self._first + self._length * (math.log10(value) - self._low) / (self._high - self._low)

    @property
    def ticks(self) -> list[float]:
        """The powers of ten within."""
        return [10.0**exponent for exponent in range(self._low, self._high + 1)]


def bars(title: str, groups: Mapping[str, Mapping[str, Samples]]) -> str:
    """Medians with quartiles as whiskers, one colour a name, on a logarithmic scale."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    every = [value for group in groups.values() for each in group.values() for value in (each.median, *each.quartiles)]
    scale = LogScale(every, LEFT, WIDTH - RIGHT)
    height, drawn = TOP, []
    for heading, group in groups.items():
        drawn.append(f'<text class="group" x="8" y="{height + 11}">{escape(heading)}</text>')
        for name, samples in group.items():
            drawn += _bar(height, name, samples, scale, COLOURS[names.index(name) % len(COLOURS)])
            height += ROW
        height += GAP
    grid = [_vertical(scale.place(tick), TOP - 6, height - GAP, figure(tick)) for tick in scale.ticks]
    return _svg(title, height, [*grid, *drawn])


def _bar(y: float, name: str, samples: Samples, scale: LogScale, colour: str) -> list[str]:
    end, (low, high) = scale.place(samples.median), (scale.place(value) for value in samples.quartiles)
    middle = y + ROW / 2 - 1
    return [
        f'<text class="end" x="{LEFT - 6}" y="{y + 11}">{escape(name)}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{ROW - 3}" fill="{colour}"/>',
        f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text x="{max(end, high) + 5:.1f}" y="{y + 11}">{figure(samples.median)}</text>',
    ]


def lines(title: str, series: Mapping[str, Mapping[float, float]], height: float = 300) -> str:
    """A line a name through its points, both axes logarithmic."""
    across = LogScale([x for line in series.values() for x in line], 60, WIDTH - LEFT)
    up = LogScale([y for line in series.values() for y in line.values()], height - 30, TOP)
    drawn = [_vertical(across.place(tick), TOP, height - 30, figure(tick)) for tick in across.ticks]
    drawn += [_horizontal(up.place(tick), 60, WIDTH - LEFT, figure(tick)) for tick in up.ticks]
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{across.place(x):.1f},{up.place(y):.1f}" for x, y in line.items())
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = TOP + 14 + number * ROW
        drawn.append(f'<rect x="{WIDTH - LEFT + 14}" y="{y - 8}" width="9" height="9" fill="{colour}"/>')
        drawn.append(f'<text x="{WIDTH - LEFT + 28}" y="{y}">{escape(name)}</text>')
    return _svg(title, height, drawn)


def _vertical(x: float, top: float, bottom: float, label: str) -> str:
    line = f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
    return f'{line}<text class="tick" x="{x:.1f}" y="{bottom + 13}">{label}</text>'


def _horizontal(y: float, left: float, right: float, label: str) -> str:
    line = f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{line}<text class="end" x="{left - 6}" y="{y + 4:.1f}">{label}</text>'


def _svg(title: str, height: float, drawn: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}">'
    return "\n".join([head, STYLE, f'<text class="title" x="8" y="20">{escape(title)}</text>', *drawn, "</svg>", ""])
