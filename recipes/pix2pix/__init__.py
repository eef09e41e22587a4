"""pix2pix: draw the image that belongs to another one, learned from pairs.

A U-Net against a discriminator of patches; built in are facades, to be painted from a map
of their parts. The published model takes an image and returns one.
"""
