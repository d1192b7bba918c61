"""Honest figures: latency as a comparison, accuracy with its interval, memory, and layers."""
