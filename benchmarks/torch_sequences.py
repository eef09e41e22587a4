"""PyTorch versions of the networks for text that the benchmarks time."""

import torch
from torch import nn


class CharacterLM(nn.Module):
    """Two LSTMs of 512 units over embedded characters.

    Args:
        characters: Number of different characters.
    """

    def __init__(self, characters: int):
        super().__init__()
        self.embedding = nn.Embedding(characters, 512)
        self.recurrent = nn.LSTM(512, 512, 2, batch_first=True)
        self.scores = nn.Linear(512, characters)

    def forward(self, x, states):
        """Returns the logits of each next character, and the states after the last step."""
        x, states = self.recurrent(self.embedding(x), states)
        return self.scores(x), states


class PoemLM(nn.Module):
    """The network of poem_generation with tied weights.

    Args:
        characters: Number of characters.
        conditions: Number of ids of each condition.
        units: Units of an LSTM.
        depth: Number of LSTMs.
        embedding_units: Size of a character's embedding.
        condition_units: Size of a condition's embedding.
        dropout: Dropout rate.
    """

    def __init__(
        self,
        characters: int,
        conditions: tuple[int, ...],
        units: int,
        depth: int,
        embedding_units: int,
        condition_units: int,
        dropout: float,
    ):
        super().__init__()
        sizes = [embedding_units + len(conditions) * condition_units] + [units] * (depth - 1)
        self.characters = nn.Embedding(characters, embedding_units)
        nn.init.normal_(self.characters.weight, std=0.1)
        self.conditions = nn.ModuleList(nn.Embedding(size, condition_units) for size in conditions)
        self.direct = nn.Linear(len(conditions) * condition_units, embedding_units, bias=False)
        self.hidden = nn.ModuleList(nn.LSTM(size, units, batch_first=True) for size in sizes)
        self.projection = nn.Linear(units, embedding_units)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids, packed=None):
        """Returns the scores of each next character.

        Args:
            ids: Ids of the characters and of each condition, of shape
                `(batch, time, 1 + conditions)`; without the second axis, those of `packed`.
            packed: Packed sequence of the ids, so that padding is not computed. Defaults to `None`.
        """
        characters, *conditions = ids.unbind(-1)
        embedded = zip(self.conditions, conditions, strict=True)
        condition = torch.cat([embed(part) for embed, part in embedded], -1)
        x = torch.cat([self.characters(characters), condition], -1)
        for number, layer in enumerate(self.hidden):
            y = self.dropout(x)
            y = layer(y)[0] if packed is None else layer(packed._replace(data=y))[0].data
            x = x + y if number else y
        x = self.projection(self.dropout(x)) + self.direct(condition)
        return nn.functional.linear(x, self.characters.weight)


class Tagger(nn.Module):
    """The network of slot_filling with its default settings.

    Args:
        words: Number of words.
        ngrams: Number of letter n-grams.
        tags: Number of tags.
        intents: Number of intents.
        packed: Whether sequences are packed, so that their padding is not computed.
    """

    def __init__(self, words: int, ngrams: int, tags: int, intents: int, packed: bool):
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(words, 100)
        self.hashing = nn.EmbeddingBag(ngrams, 100, mode="sum", padding_idx=0)
        self.recurrent = nn.LSTM(600, 128, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.3)
        self.tags, self.intents = nn.Linear(256, tags), nn.Linear(256, intents)
        self.transitions = nn.Parameter(torch.zeros(tags, tags))
        self.start, self.end = (nn.Parameter(torch.zeros(tags)) for _ in range(2))

    def forward(self, words, ngrams):
        """Returns the scores of tags and intents, and where words are."""
        mask = words != 0
        chance = torch.rand(words.shape)
        words = torch.where((chance < 0.1) & mask, 1, words)
        unknown = torch.zeros_like(ngrams)
        unknown[:, :, 0] = 1
        ngrams = torch.where(((chance < 0.05) & mask)[:, :, None], unknown, ngrams)
        counted = self.hashing(ngrams.flatten(0, 1)).unflatten(0, words.shape)
        x = self.dropout(torch.cat([self.embedding(words), counted], 2))
        # Each word with its neighbours; padding is zeros.
        around = nn.functional.pad(x * mask[:, :, None], (0, 0, 1, 1))
        x = torch.cat([around[:, :-2], x, around[:, 2:]], 2)
        if self.packed:
            x = nn.utils.rnn.pack_padded_sequence(
                x, mask.sum(1), batch_first=True, enforce_sorted=False
            )
            x = nn.utils.rnn.pad_packed_sequence(self.recurrent(x)[0], batch_first=True)[0]
        else:
            x = self.recurrent(x)[0]
        x = self.dropout(x)
        mean = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return self.tags(x), self.intents(mean), mask

    def log_likelihood(self, scores, tags, mask):
        """Returns the log-probability of each sentence's tags, as pytorch-crf computes it."""
        scores, tags, mask = scores.transpose(0, 1), tags.T, mask.T
        rows = torch.arange(tags.shape[1])
        path = self.start[tags[0]] + scores[0, rows, tags[0]]
        message = self.start + scores[0]
        for step in range(1, len(tags)):
            moved = self.transitions[tags[step - 1], tags[step]] + scores[step, rows, tags[step]]
            path = path + moved * mask[step]
            joint = message[:, :, None] + self.transitions + scores[step][:, None]
            message = torch.where(mask[step][:, None], torch.logsumexp(joint, 1), message)
        last = tags[mask.sum(0) - 1, rows]
        return path + self.end[last] - torch.logsumexp(message + self.end, 1)
