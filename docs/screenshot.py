"""Draws report.png, a finding of the HTML report, anew: `python docs/screenshot.py`.

Needs chromium and playwright, as the tests do (tools/setup), and Pillow, which matplotlib brings.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from pocwatch.report import html, load

DOCS = Path(__file__).parent
EXAMPLE = DOCS / "examples" / "dropped.json"
PICTURE = DOCS / "report.png"
_FINDING = "#finding-2"
_MOST_BYTES = 200_000


def main() -> None:
    """Write the picture. Exit with a line when there is no browser, or it came out too large."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("docs/screenshot.py: no chromium; tools/setup installs it")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        page_file = Path(folder) / "dropped.html"
        html.write(load.load(EXAMPLE), page_file)
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 980, "height": 1500})
        page.goto(f"{page_file.as_uri()}{_FINDING}")
        page.evaluate("document.activeElement.blur()")
        page.locator(_FINDING).screenshot(path=PICTURE)
        browser.close()
    Image.open(PICTURE).convert("RGB").quantize(128).save(PICTURE, optimize=True)
    size = PICTURE.stat().st_size
    if size > _MOST_BYTES:
        sys.exit(f"{PICTURE}: {size} bytes: at most {_MOST_BYTES}, for those who clone this")


if __name__ == "__main__":
    main()
