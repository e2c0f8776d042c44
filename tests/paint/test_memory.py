"""How much memory there is, and what is decided from it."""

import subprocess
import sys

import pytest

from stylecli.errors import OutOfMemoryError, UsageError
from stylecli.memory import check_file, free_memory, parse_size, process_memory, show_size
from stylecli.models.descriptor import MemoryProfile
from stylecli.paint.memory import plan_tiles

GB = 1 << 30
HUNGRY = MemoryProfile(whole=200, held=60, strip=400, always=100 << 20)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4G", 4 * GB), ("800M", 800 << 20), ("1.5 GiB", GB * 3 // 2), ("64kb", 64 << 10), ("1000", 1000)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "4X", "-1G", "0", "4 G G"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="write it like 4G"):
        parse_size(text)


def test_sizes_for_people():
    assert show_size(3 * GB // 2) == "1.5 GB" and show_size(-5) == "0 MB"


def test_a_limit_is_for_the_whole_process():
    assert free_memory(1) == 0
    assert 0 < free_memory(64 * GB) <= free_memory() + GB  # others take some in between


@pytest.mark.skipif(sys.platform != "linux", reason="needs ulimit -v")
def test_the_address_space_counts():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30));"
        "from stylecli.memory import free_memory; print(free_memory())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert 0 < int(printed) < GB


def test_small_pictures_are_painted_at_once():
    assert plan_tiles(512, 768, HUNGRY, None, 2 * GB).rows is None


def test_large_ones_in_strips_and_larger_ones_smaller():
    large = plan_tiles(4000, 6000, HUNGRY, None, 4 * GB)
    assert (large.height, large.width) == (4000, 6000) and large.rows is not None and large.rows >= 32
    larger = plan_tiles(12000, 8000, HUNGRY, None, 4 * GB)
    assert larger.height < 12000 and abs(larger.height / larger.width - 1.5) < 0.01
    held = larger.height * larger.width * HUNGRY.held
    assert larger.rows is not None and held + larger.rows * larger.width * HUNGRY.strip <= 4 * GB


def test_what_was_asked_for_is_done():
    assert plan_tiles(4000, 6000, HUNGRY, 0, GB).rows is None
    assert plan_tiles(400, 600, HUNGRY, 64, GB).rows == 64
    assert plan_tiles(4000, 6000, None, 64, GB).rows is None  # cannot be tiled


def test_a_card_is_for_strips_and_main_memory_for_the_whole():
    small_card = plan_tiles(4000, 6000, HUNGRY, None, 8 * GB, GB)
    assert (small_card.height, small_card.width) == (4000, 6000) and small_card.rows is not None
    assert small_card.rows * 6000 * HUNGRY.strip < GB
    assert plan_tiles(4000, 6000, HUNGRY, None, 8 * GB, 16 * GB).rows is None


def test_no_room_is_said():
    with pytest.raises(
        OutOfMemoryError,
        match=r"to paint: 50 MB may be used beside the [\d.]+ [MG]B that the program",
    ):
        plan_tiles(512, 512, HUNGRY, None, 50 << 20)


def test_files_that_cannot_fit_are_refused():
    with pytest.raises(OutOfMemoryError, match=r"a\.jpg: 20000 × 20000 pixels need about .* GB"):
        check_file("a.jpg", 20000, 20000, False, 4 * GB)
    check_file("a.jpg", 1000, 1000, False, 1)  # whether a small one fits will be seen


def test_the_process_itself_is_counted():
    """psutil tells on macOS and Windows too, where there is no /proc: 0 would make --memory-limit mean nothing."""
    held = bytearray(64 << 20)
    before = process_memory()
    assert before > 64 << 20
    assert free_memory(before + (100 << 20)) <= 101 << 20
    del held
