"""The configuration of the plugin's judge, as `plugin/judge.h` has it."""

from __future__ import annotations

import ctypes


class Config(ctypes.Structure):
    _fields_ = (
        ("run_path", ctypes.c_char_p),
        ("ram_path", ctypes.c_char_p),
        ("ram_base", ctypes.c_uint64),
        ("ram_size", ctypes.c_uint64),
        ("table_path", ctypes.c_char_p),
        ("rules_path", ctypes.c_char_p),
        ("report_unsynced", ctypes.c_bool),
        ("track_redundant", ctypes.c_bool),
        ("keep_stale", ctypes.c_bool),
        ("start_on", ctypes.c_uint),
        ("shard", ctypes.c_bool),
    )
