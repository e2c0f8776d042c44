"""An S3 server on this machine, with an empty bucket called archive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def s3_server() -> Iterator[None]:
    """Within: the environment leads to it. Skips the test where moto or s3fs is missing."""
    from urllib.request import Request, urlopen

    s3fs = pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*running.get_host_and_port()))
            patch.setenv("AWS_ACCESS_KEY_ID", "key")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            address = os.environ["AWS_ENDPOINT_URL"]
            # All servers of one process have the same buckets.
            urlopen(Request(f"{address}/moto-api/reset", method="POST"), timeout=10).close()
            s3fs.S3FileSystem(skip_instance_cache=True).mkdir("archive")
            yield
    finally:
        running.stop()
