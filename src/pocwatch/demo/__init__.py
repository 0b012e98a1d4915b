"""The demonstration machine: Debian's arm64 kernel as KVM host, and as its guest."""
