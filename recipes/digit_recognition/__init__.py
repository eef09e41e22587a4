"""Digit recognition: classify images of handwritten digits or other characters.

The default network is an ensemble of small CNNs; LeNet-5 and other families are options. The
published model takes image files, or arrays of any size.
"""
