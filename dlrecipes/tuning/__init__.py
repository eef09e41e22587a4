"""Searches for hyperparameters: a recipe's declared ranges, looked through by keras-tuner."""
