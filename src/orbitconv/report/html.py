"""A self-contained HTML page, and pieces of one."""

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

from orbitconv._support.files import printable
from orbitconv.records.grouping import Spread, mean_and_spread


def document(title: str, body: str, data: object) -> str:
    """A whole page that needs nothing but itself, readable on a phone and in the dark.

    The title is text, the body HTML. The page holds the numbers on it for programs, as JSON in the element `record`.
    """
    data_in_html = json.dumps(data).replace("<", "\\u003c")
    return printable(
        _template("page_template.html").substitute(
            title=escape(title), body=body, data=data_in_html, style=_template("style.css").template
        )
    )


def _template(name: str) -> Template:
    """A file beside this one."""
    return Template(resources.files("orbitconv.report").joinpath(name).read_text(encoding="utf-8"))


def prose(text: str) -> str:
    """Text as HTML; numbers keep their unit on their line."""
    return escape(text).replace(" %", "&nbsp;%")


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls by itself on a narrow screen; caption and head are text, cells are HTML."""
    tops = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in head)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">\n<table>\n'
        f"<caption>{escape(caption)}</caption>\n<thead>\n<tr>{tops}</tr>\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def facts_table(caption: str, facts: Mapping[str, str]) -> str:
    """A table of named facts, all of them text."""
    rows = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>\n' for k, v in facts.items())
    return f'<table class="facts">\n<caption>{escape(caption)}</caption>\n<tbody>\n{rows}</tbody>\n</table>'


def pairs(facts: Mapping[str, Any]) -> str:
    """Facts in one line; nested ones with a dot in their names."""
    flat = {
        f"{name}.{inner}" if inner else name: fact
        for name, value in facts.items()
        for inner, fact in (value.items() if isinstance(value, dict) else [("", value)])
    }
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in flat.items())


def best_cells(column: Sequence[Sequence[float | int]], digits: int) -> list[str]:
    """A column of means and, with several values, standard deviations, as HTML.

    The lowest mean as it is printed is emphasised, if there are several.
    """
    means = [round(Spread.of(values).mean, digits) for values in column if values]
    lowest = min(means) if len(means) > 1 else None
    return [
        cell(values, digits, best=bool(values) and round(Spread.of(values).mean, digits) == lowest) for values in column
    ]


def cell(values: Sequence[float | int], digits: int, *, best: bool = False) -> str:
    """Mean and, with several values, standard deviation, as HTML."""
    mean, plus_minus, deviation = mean_and_spread(values, digits, none="&ndash;").partition(" ± ")
    spread = f" <small>± {deviation}</small>" if plus_minus else ""
    return (f"<strong>{mean}</strong>" if best else mean) + spread


def image(
    content: bytes, subtype: str, alt: str, *, width: int = 60, dense: bool = False, still: bytes | None = None
) -> str:
    """A picture inside the page, at most `width` rem wide; a dense one scrolls on a narrow screen."""
    name = ' class="dense"' if dense else ""
    image = f'<img{name} style="max-width:{width}rem" alt="{escape(alt)}" src="{_uri(content, subtype)}">'
    if still is None:
        return image
    calm = f'<source media="(prefers-reduced-motion: reduce), print" srcset="{_uri(still, subtype)}">'
    return f"<picture>{calm}{image}</picture>"


def _uri(content: bytes, subtype: str) -> str:
    """Data URI of a picture."""
    return f"data:image/{subtype};base64,{base64.b64encode(content).decode('ascii')}"


def number(value: float | int | None) -> str:
    """A number of no unit in HTML: three decimals, or a power of ten where it is smaller than they show."""
    if value is None:
        return "&ndash;"
    if value == 0 or abs(value) >= 5e-4:
        return f"{value:.3f}"
    digits, power = f"{value:.0e}".split("e")
    return f"{digits}&nbsp;&times;&nbsp;10<sup>&minus;{abs(int(power))}</sup>"
