"""FaceNet: say whether two pictures show one person, and who of a gallery somebody is.

A network places each face on a sphere, trained by triplets so that one person's pictures lie
together; it has never seen the people whom it is tested on.
"""
