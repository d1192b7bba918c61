"""What this machine is and has: its identity, limits, devices and instruction sets, and whose turn it is to measure."""
