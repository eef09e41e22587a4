"""My task: classify points in the plane. Replace data and model; docs/recipes.md explains."""
