"""Training loops: `keras.Model` subclasses whose `train_step` is the algorithm."""
