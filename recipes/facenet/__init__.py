"""FaceNet: compare faces, and identify a face in a gallery.

A network trained with triplets maps images to unit vectors, so that images of the same person
lie close together. It is tested on people who do not occur in training.
"""
