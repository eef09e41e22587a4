"""Image classification: name what photos show, from folders with a class each.

The default network is a small residual network; any class of `keras.applications` is an option.
The published model takes image files, or arrays of any size, and explains its predictions.
"""
