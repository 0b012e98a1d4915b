"""What a VM's start and run cost under a policy: events, counted with the policy's own operations."""
