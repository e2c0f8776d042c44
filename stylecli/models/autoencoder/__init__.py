"""The KL auto-encoder that StyleMamba works inside of. Start at ``model.py``."""
