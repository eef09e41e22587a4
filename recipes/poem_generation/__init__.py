"""Poem generation: write regulated Chinese quatrains, or go on with a text of any language.

A recurrent network reads a poem character by character; while it writes, tones and rhyme
can be enforced; the published model takes a theme and returns a poem.
"""
