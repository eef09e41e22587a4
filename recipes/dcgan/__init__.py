"""DCGAN: draw new images of the kind that a data set has, of digits, faces or facades.

Radford, Metz and Chintala's generator and discriminator; the published model makes
images of a seed and a count, or of noise.
"""
