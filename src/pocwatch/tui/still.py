"""What the viewer shows after some keys, as text: for the documentation, without a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pocwatch.tui.app import Viewer


def screen(viewer: Viewer) -> list[str]:
    """Return the lines of a running viewer's screen, without the blanks at their ends."""
    return [strip.text.rstrip() for strip in viewer.screen._compositor.render_strips()]


def still(viewer: Viewer, keys: Sequence[str], columns: int = 80, lines: int = 24) -> list[str]:
    """Return the screen after keys, named as Textual does, were pressed."""

    async def run() -> list[str]:
        async with viewer.run_test(size=(columns, lines)) as pilot:
            await pilot.press(*keys)
            await pilot.pause()
            return screen(viewer)

    return asyncio.run(run())
