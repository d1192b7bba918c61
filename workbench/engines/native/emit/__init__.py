"""From the fused graph to the records that the compiled core runs."""
