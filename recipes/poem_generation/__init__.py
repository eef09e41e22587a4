"""Poem generation: write regulated Chinese quatrains, or continue a text in any language.

A recurrent network reads a poem character by character. Tones and rhyme can be enforced while it
writes. The published model takes a theme and writes about it.
"""
