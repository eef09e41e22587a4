"""What trainers share; not public."""
