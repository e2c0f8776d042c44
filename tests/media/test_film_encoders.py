"""What an encoder may not do to the process that it runs in."""

import os
from fractions import Fraction

import pytest
from av.codec import CodecContext

from stylecli.media.video.encoding import open_encoder


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="needs Linux's schedulers")
@pytest.mark.parametrize("name", ["libx264", "libx265", "libvpx-vp9", "libsvtav1", "prores_ks", "ffv1"])
def test_no_encoder_makes_this_thread_a_real_time_one(name):
    """SVT-AV1 did, for root."""
    context = CodecContext.create(name, "w")
    context.width = context.height = 64
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.pix_fmt = "yuv422p10le" if name == "prores_ks" else "yuv420p"
    before = os.sched_getscheduler(0)
    open_encoder(context)
    assert os.sched_getscheduler(0) == before
