"""KVM and what is around it as models: host, guest, stage 2, cleaning policies, scenarios."""
