"""Slot filling: tag each word of a travel query with its meaning (departure, arrival, date).

A recurrent network reads the sentence, and a linear-chain CRF chooses the tags. The published
model takes raw sentences.
"""
