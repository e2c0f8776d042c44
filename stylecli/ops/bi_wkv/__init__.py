"""Bidirectional WKV attention: ``bi_wkv`` and its q-fold form ``re_wkv``."""

from stylecli.ops.bi_wkv.op import bi_wkv
from stylecli.ops.bi_wkv.reference import bi_wkv_reference
from stylecli.ops.bi_wkv.segment import bi_wkv_leftward, bi_wkv_segment

__all__ = ["bi_wkv", "bi_wkv_leftward", "bi_wkv_reference", "bi_wkv_segment"]
