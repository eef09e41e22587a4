"""The tasks, one folder each; installed as `dlrecipes.recipes`."""
