"""Today's other tools and published threshold rules, on the patients of the zoo."""
