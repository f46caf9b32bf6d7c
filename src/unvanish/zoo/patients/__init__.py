"""The patients: one file each, a recipe with a `PATIENT` that says what is known about it."""
