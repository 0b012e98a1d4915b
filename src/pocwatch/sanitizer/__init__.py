"""`pocwatch run`: launches QEMU with the plugin, reads what it saw, symbolises findings."""
