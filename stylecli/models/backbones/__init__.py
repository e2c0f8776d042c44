"""The networks that StyleMamba's paper builds upon, read from their published files. Start at ``load.py``."""

SIGLIP = "siglip-base-patch16-224"

BACKBONES = {"siglip-sd": ("sd-vae-ft-mse", "AutoencoderKL"), "siglip-taesd": ("taesd", "AutoencoderTiny")}
"""The auto-encoder of each: its name in weights.toml, and its class in diffusers. SigLIP is the same for all."""
