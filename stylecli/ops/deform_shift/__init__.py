"""Deform-shift: every token reads its neighbourhood at a learned, bounded displacement."""

from stylecli.ops.deform_shift.op import deform_shift
from stylecli.ops.deform_shift.reference import deform_shift_reference

__all__ = ["deform_shift", "deform_shift_reference"]
