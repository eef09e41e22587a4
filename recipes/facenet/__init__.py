"""FaceNet: say whether two images show one person, and who of a gallery somebody is.

A network places each face on a sphere, trained by triplets so that one person's images lie
together; it has never seen the people whom it is tested on.
"""
