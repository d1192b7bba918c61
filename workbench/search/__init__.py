"""Finding the best recipe: what to look at next, given what was measured. Nothing is measured or built here."""
