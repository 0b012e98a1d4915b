"""What `pocwatch bench` found, as one HTML file that needs no other: text, pictures, tables."""

from __future__ import annotations

import html
from collections.abc import Iterator

from pocwatch.cost.start.bench import Bench
from pocwatch.report import bench_text
from pocwatch.report.bench_words import paragraphs
from pocwatch.report.plots import write

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em; }
pre { font-size: 13px; overflow-x: auto; background: #f6f6f6; padding: 1em; }
svg { width: 100%; height: auto; margin: 1em 0; }
"""


def page(bench: Bench) -> str:
    """Return the file's text."""
    title = f"pocwatch bench: {bench.platform.name}, {bench.model.name}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{html.escape(title)}</h1>",
            *(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs(bench)),
            *_pictures(bench),
            "<h2>Tables</h2>",
            f"<pre>{html.escape(bench_text.text(bench, assumed=True))}</pre>",
            "</body></html>\n",
        ]
    )


def _pictures(bench: Bench) -> Iterator[str]:
    """Yield the drawings as inline SVG; ids are told apart, as one page has them all."""
    number = 0
    for series in bench.series:
        for draw in write.drawings(series).values():
            text = write.picture(draw, bench, series, "svg").decode()
            svg = text[text.index("<svg") :]
            for mark in ('id="', 'url(#', 'href="#'):
                svg = svg.replace(mark, f"{mark}p{number}-")
            number += 1
            yield svg
