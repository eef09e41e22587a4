"""pix2pix: draw the picture that belongs to another one, learned from pairs.

A U-Net against a discriminator of patches; built in are facades, to be painted from a map
of their parts. The published model takes a picture and returns one.
"""
