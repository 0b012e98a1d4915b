"""Firmware, hypervisors and kernels of the distribution, each a scripted case under `pocwatch run`."""
