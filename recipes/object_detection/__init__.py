"""Object detection: find objects in photos, from images with boxes.

Faster R-CNN with a small residual network and a feature pyramid; other backbones are an option.
The published model takes image files, or arrays of any size, and returns boxes and classes.
"""
