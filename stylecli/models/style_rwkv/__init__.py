"""StyleRWKV (arXiv 2412.19535): image-guided stylization. Start at ``model.py``."""
