"""From an exported graph to the fused one: names resolved, constants folded, views understood."""
