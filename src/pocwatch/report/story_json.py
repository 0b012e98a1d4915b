"""A story as JSON: all of it, rows with what the caches hold."""

from __future__ import annotations

from typing import Any

from pocwatch.kvm.story.rows import Picture, Row, Story
from pocwatch.kvm.verdict import ASSUMPTIONS
from pocwatch.report.check_json import cell

Json = dict[str, Any]


def json_value(story: Story) -> Json:
    """Return the story: the cell as `pocwatch check --json` has it, then rows, ending and repair."""
    value: Json = {
        **cell(story.result),
        "description": story.description,
        "facts": story.facts,
        "origin": story.origin,
        "assumptions": list(ASSUMPTIONS),
    }
    if not story.rows:
        return value
    ending, remedy = story.ending, story.remedy
    assert ending is not None
    return {
        **value,
        "word": "; ".join(str(step) for step in story.word),
        "agents": list(story.agents),
        "rows": [_row(story, row) for row in story.rows],
        "ending": {
            "row": story.rows[-1].number,
            "agent": ending.agent,
            "event": ending.event,
            "why": ending.why,
            "step": ending.step,
            "read": ending.verdict,
            "looks_at": ending.looks_at,
            "place": ending.place,
            "latest_row": ending.latest,
            "got_row": ending.got,
            "gets": ending.gets,
            "instead_of": ending.instead_of,
            "how": ending.how,
        },
        "not_enough": list(story.reasons),
        "rules": list(story.rules),
        "repair": None
        if remedy is None
        else {
            "hooks": list(remedy.hooks),
            "operations": list(remedy.operations),
            "proved_over_states": remedy.states,
            "before_rows": [{"hook": hook, "row": row} for hook, row in remedy.rows],
        },
        "repair_of_the_read": list(story.line_repair),
    }


def _row(story: Story, row: Row) -> Json:
    return {
        "row": row.number,
        "agent": row.agent,
        "event": row.event,
        "why": row.why,
        "hook": row.hook or None,
        "other_page": row.elsewhere,
        "steps": list(row.steps),
        "mark": row.mark.value or None,
        "caches": _picture(story, row.picture),
    }


def _picture(story: Story, picture: Picture) -> Json:
    """Return what is where after a row; `written_by` is a row, 0 what was there before."""
    held: Json = {
        name: {"copy": copy.value, "written_by": data}
        for name, copy, data in zip(story.levels, picture.levels, picture.data.levels, strict=True)
    }
    memory = "latest" if picture.memory_latest else "stale"
    held["memory"] = {"copy": memory, "written_by": picture.data.memory}
    if story.fetcher is not None:
        held[f"P{story.fetcher}'s I-cache"] = {
            "copy": picture.icache.value.split(",")[0],
            "written_by": picture.data.icache,
        }
    return {**held, "pending": list(picture.pending)}
