"""The networks: one folder each, readable top-down from ``model.py``; ``registry.py`` describes them."""
