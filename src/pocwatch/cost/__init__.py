"""What cache maintenance costs: costs per operation, counts of operations, and caches simulated."""
