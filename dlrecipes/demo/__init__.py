"""A page on which published models are tried: `dlrecipes demo`."""
