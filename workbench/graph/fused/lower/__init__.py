"""Rewrites of the fused graph: what joins what, and what is stored in which numbers."""
