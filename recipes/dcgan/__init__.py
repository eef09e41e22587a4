"""DCGAN: generate images that resemble a dataset of digits, faces or facades.

The generator and the discriminator of Radford, Metz and Chintala. The published model generates
images from a seed and a number of images, or from noise.
"""
