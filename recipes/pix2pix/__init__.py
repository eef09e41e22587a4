"""pix2pix: translate one image into another, learned from pairs of images.

A U-Net trained against a PatchGAN discriminator. The built-in data shows facades to generate from
label maps of their parts. The published model takes an image and returns one.
"""
