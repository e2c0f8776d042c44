"""A small text-image encoder (SigLIP)."""

from stylecli.models.siglip.config import SiglipConfig
from stylecli.models.siglip.model import Siglip, load_siglip

__all__ = ["Siglip", "SiglipConfig", "load_siglip"]
