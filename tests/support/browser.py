"""A real browser: headless Chromium, driven by Playwright."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

HINT = (
    "browser tests need Playwright (pip install playwright) and Chromium (apt-get install chromium, or its path in "
    "CHROMIUM)"
)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

_CONTRAST = """() => {
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = text => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const { color, backgroundColor } = getComputedStyle(document.body);
  const [dim, bright] = [light(color), light(backgroundColor)].sort((a, b) => a - b);
  return (bright + .05) / (dim + .05);
}"""

_CUT = """() => {
  const scrolls = e => e && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  return [...document.querySelectorAll("th, td, p, li, figcaption, dt, dd, h1, h2, h3, label, option, text")]
    .filter(e => !scrolls(e) && e.getClientRects().length)
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth
      && getComputedStyle(e).overflowX === "hidden")
    .map(e => e.textContent.slice(0, 60));
}"""


@contextmanager
def browser():
    """Chromium, started for a test module; the module is skipped without it."""
    api = pytest.importorskip("playwright.sync_api", reason=HINT)
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip(HINT)
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Watched:
    """A page that notes errors and requests."""

    def __init__(self, chromium, file: Path, width: int = 1400, *, dark: bool = False):
        self.page = chromium.new_page(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        self.errors, self.requests = [], []
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.set_default_timeout(120_000)  # in milliseconds; machines that test are busy
        self.page.goto(file.as_uri())

    def wide(self) -> int:
        """Pixels by which the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def cut(self) -> list[str]:
        """Text that leaves its box or the window, where nothing scrolls."""
        return self.page.evaluate(_CUT)

    def contrast(self) -> float:
        """Contrast of text and ground, as WCAG defines it."""
        return self.page.evaluate(_CONTRAST)

    def check(self) -> None:
        """The page fits, is legible, has no errors, and loads nothing from elsewhere."""
        assert self.wide() <= 0
        assert self.cut() == []
        assert self.contrast() > 7
        assert not self.errors
        assert self.requests[0] == self.page.url
        assert all(one.startswith("data:") for one in self.requests[1:])
