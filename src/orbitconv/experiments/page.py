"""Pieces of a self-contained HTML page."""

import base64
from collections.abc import Sequence
from html import escape


def prose(text: str) -> str:
    """Text as HTML; numbers keep their unit on their line."""
    return escape(text).replace(" %", "&nbsp;%")


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls by itself on a narrow screen; caption and head are text, cells are HTML."""
    tops = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">\n<table>\n'
        f"<caption>{escape(caption)}</caption>\n<thead>\n<tr>{tops}</tr>\n</thead>\n<tbody>\n{body}\n</tbody>\n"
        "</table>\n</div>"
    )


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
