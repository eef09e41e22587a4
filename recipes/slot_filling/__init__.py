"""Slot filling: tag each word of a travel query with what it says (where from, where to, when).

A recurrent network reads the sentence; a linear-chain CRF chooses the tags; the
published model takes raw sentences.
"""
