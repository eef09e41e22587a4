"""The web page of `dlrecipes demo`, on which published models can be tried."""
