"""The fake QEMU for this folder's tests."""

from __future__ import annotations

from fake_machine import fake_qemu

__all__ = ["fake_qemu"]
