"""The format of MNIST's digits, to which the graph and NumPy bring images of handwriting."""

# MNIST's digits fill a box of 20 pixels in their 28.
FILLED = 20 / 28
# Longest side, in pixels, of the reduced image that is searched for ink.
REDUCED = 160
# Smallest difference between ink and paper, where black to white is 1.
FAINTEST = 0.04
# Where there is ink, the mean of nine pixels exceeds the paper's noise by this factor.
ABOVE_NOISE = 3.0
# Added before rounding down. The centre of a symmetric stroke lies between two pixels, and rounding
# errors, which differ between TensorFlow and NumPy, must not decide: it goes to the upper left.
HALF = 0.5 - 1 / 256
