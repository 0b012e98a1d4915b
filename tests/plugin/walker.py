"""The plugin's walker through ctypes, with results in the reference's types."""

from __future__ import annotations

import ctypes
from dataclasses import fields

from pocwatch.arch.translation import Fault, Registers

NO_ADDRESS = 0xFFFF_FFFF_FFFF_FFFF
FAULTS = {
    0: None,
    1: Fault.ADDRESS_SIZE,
    2: Fault.TRANSLATION,
    3: Fault.ACCESS_FLAG,
    4: Fault.PERMISSION,
    5: Fault.EXTERNAL,
}


class CRegs(ctypes.Structure):
    _fields_ = tuple((f.name, ctypes.c_uint64) for f in fields(Registers))


class CDescriptor(ctypes.Structure):
    _fields_ = (
        ("pa", ctypes.c_uint64),
        ("ipa", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
        ("why", ctypes.c_uint16),
        ("kind", ctypes.c_uint8),
        ("stage", ctypes.c_uint8),
        ("level", ctypes.c_int8),
        ("reserved", ctypes.c_uint8 * 3),
    )


class CTranslation(ctypes.Structure):
    _fields_ = (
        ("pa", ctypes.c_uint64),
        ("ipa", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("why", ctypes.c_uint16),
        ("kind", ctypes.c_uint8),
        ("s1_mair", ctypes.c_uint8),
        ("s2_attr", ctypes.c_uint8),
        ("mmu_on", ctypes.c_uint8),
        ("perm", ctypes.c_uint8),
        ("fault", ctypes.c_uint8),
        ("fault_stage", ctypes.c_uint8),
        ("fault_level", ctypes.c_int8),
        ("not_global", ctypes.c_uint8),
        ("n_descriptors", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8 * 4),
        ("descriptors", CDescriptor * 40),
    )


READ64 = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64)
)
