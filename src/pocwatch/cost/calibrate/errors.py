"""Why there is no calibration, with the exit code it carries."""

from __future__ import annotations


class CannotCalibrateError(Exception):
    """It was asked for where or how it cannot be."""

    exit_code = 2


class MeasurementError(Exception):
    """The machine, its compiler or the measuring program failed."""

    exit_code = 3
