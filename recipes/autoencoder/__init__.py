"""Autoencoder: describe each image in a few numbers, and restore it.

Deep autoencoder with or without pre-training as Boltzmann machines, convolutional or denoising;
deep belief network with a classifier; PCA. Finds unusual images by their error.
"""
