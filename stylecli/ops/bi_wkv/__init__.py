"""Bidirectional WKV attention: ``bi_wkv`` and its q-fold form ``re_wkv``."""

from stylecli.ops.bi_wkv.op import bi_wkv, bi_wkv_with_denominator
from stylecli.ops.bi_wkv.reference import bi_wkv_reference

__all__ = ["bi_wkv", "bi_wkv_reference", "bi_wkv_with_denominator"]
