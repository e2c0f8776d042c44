"""StyleMamba (arXiv 2405.05027): text-guided stylization. Start at ``painter.py``, then ``model.py``."""
