"""What `pocwatch bench` found, as pictures: cost against RAM, timeline of a boot, latency of faults."""
