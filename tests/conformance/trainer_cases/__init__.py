"""Cases of trainers, a file a family; `CASES` maps a name to a `TrainerCase`."""
