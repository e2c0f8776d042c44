"""What VGG-16 sees in a picture, seen by a small network: the measure of style. Start at ``model.py``."""
