"""From a phrase to a style: a bank of artworks that phrases lean on. Start at ``model.py``."""
