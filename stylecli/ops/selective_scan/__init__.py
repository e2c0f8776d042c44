"""Selective scan, the state-space recurrence of Mamba."""

from stylecli.ops.selective_scan.op import selective_scan, selective_scan_from
from stylecli.ops.selective_scan.reference import selective_scan_reference

__all__ = ["selective_scan", "selective_scan_from", "selective_scan_reference"]
