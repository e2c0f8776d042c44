"""The networks that StyleMamba's paper builds upon, read from their published files. Start at ``load.py``."""
