"""Drives the viewer without a terminal: keys, mouse, and the text that is on its screen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from pocwatch.tui.app import Viewer
from pocwatch.tui.still import screen as screen


async def press(pilot: Pilot[None], keys: str) -> None:
    """Press keys, separated by spaces, one after the other, each of them drawn."""
    for key in keys.split():
        await pilot.press(key)
    await pilot.pause()


def drive(
    app: Viewer, script: Callable[[Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24)
) -> None:
    """Run a script against a viewer on a screen of columns and lines."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await script(pilot)

    asyncio.run(run())


def shown(app: Viewer, keys: str = "", size: tuple[int, int] = (80, 24)) -> list[str]:
    """Return the screen after some keys."""
    lines: list[str] = []

    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, keys)
        lines.extend(screen(app))

    drive(app, script, size)
    return lines
