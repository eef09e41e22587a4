"""Keras layers, one public class a file, written with `keras.ops` alone."""
