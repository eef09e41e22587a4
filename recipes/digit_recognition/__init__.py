"""Digit recognition: say which handwritten digit (or other character) an image shows.

A small convolutional network by default, or LeNet-5 and the course's other families; the
published model takes PNG or JPEG files, or arrays of any size.
"""
