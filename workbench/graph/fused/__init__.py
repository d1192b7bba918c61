"""The program made of an exported graph: read into operations of its own, then fused; for back ends of our own."""
