"""`--platform` of the commands that need no machine."""

from __future__ import annotations

from pocwatch.platforms import Platform


def load_platform(name: str) -> Platform:
    """Return the platform of that name or file; a mistake is the user's."""
    from pocwatch import platforms
    from pocwatch.sanitizer.errors import UsageError

    try:
        return platforms.load(name)
    except platforms.PlatformError as error:
        raise UsageError(f"--platform: {error}") from None
