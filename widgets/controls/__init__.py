"""What a person sets: the recipe."""
