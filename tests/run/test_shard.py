"""``--shard I/N``: the parts are the whole, each result is in one of them, and stays in it."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from conftest import Stylize, draw

from stylecli.errors import UsageError
from stylecli.media.video.clip import Excerpt
from stylecli.media.video.encoding import Encoding
from stylecli.run.films import FilmJob
from stylecli.run.images import ImageJob
from stylecli.run.plan import Plan
from stylecli.run.shard import Shard
from stylecli.run.style_specs import collect_styles
from stylecli.run.timeline import Timeline

NAMES = [Path(f"trip {number % 7}/photo{number}.starry.jpg") for number in range(600)]


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_every_name_is_in_one_part(count: int) -> None:
    parts = [[name for name in NAMES if Shard(index, count).takes(name)] for index in range(1, count + 1)]
    assert sorted(name for part in parts for name in part) == sorted(NAMES)
    assert max(map(len, parts)) < 3 * len(NAMES) / count  # of about the same size


def test_the_parts_are_the_same_on_every_machine_and_in_every_version() -> None:
    taken = [index for name in NAMES[:12] for index in range(1, 6) if Shard(index, 5).takes(name)]
    assert taken == [2, 4, 1, 4, 3, 5, 2, 4, 5, 4, 4, 1]
    name = Path("été.starry.jpg")
    other = Path(unicodedata.normalize("NFD", str(name)))
    assert [Shard(i, 9).takes(name) for i in range(1, 10)] == [Shard(i, 9).takes(other) for i in range(1, 10)]


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1.0/3", "１/３"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--shard .*write I/N"):
        Shard.parse(text)


@pytest.mark.parametrize("kind", ["image", "video"])
def test_the_parts_of_a_folder_are_its_plan(kind: str, styles: list[Path], tmp_path: Path) -> None:
    for number in range(12):
        draw(tmp_path / "in" / f"day{number % 2}" / f"{number}.{'gif' if kind == 'video' else 'png'}", 8, 8)
    inputs, output = [str(tmp_path / "in")], f"{tmp_path / 'out'}/"

    def plan(shard: Shard) -> Plan:
        specs = collect_styles(styles, [])
        if kind == "image":
            return ImageJob(inputs, specs, output=output, recursive=True, shard=shard).plan(
                lambda event: None
            )
        lines = [Timeline.constant(spec) for spec in specs]
        job = FilmJob(inputs, lines, Excerpt(), Encoding(), output=output, recursive=True, shard=shard)
        return job.plan(lambda event: None)

    whole = plan(Shard()).todo
    parts = [plan(Shard(index, 3)).todo for index in (1, 2, 3)]
    assert len(whole) == 24
    assert all(len(part) < 24 for part in parts)
    assert sorted(map(repr, (task for part in parts for task in part))) == sorted(map(repr, whole))

    # One result of part 1 is there, and a picture is added: no result moves to another part.
    first = parts[0][0]
    first.target.parent.mkdir(parents=True)
    first.target.write_bytes(b"finished")
    added = draw(tmp_path / "in" / "day0" / f"added{first.source.suffix}", 8, 8)
    for index, part in enumerate(parts, 1):
        again = plan(Shard(index, 3))
        assert [task for task in again.todo if task.source != added] == [one for one in part if one != first]
        assert again.finished == ((first,) if index == 1 else ())


def test_a_dry_run_shows_its_part_alone(stylize: Stylize, styles: list[Path], tmp_path: Path) -> None:
    names = [draw(tmp_path / "photos" / f"{number}.png", 8, 8).name for number in range(8)]
    mine = [name for name in names if Shard(2, 3).takes(Path(name).with_suffix(".starry.png"))]
    run = stylize(
        "image", "photos", "--style", "starry.jpg", "-o", "out/", "--shard", "2/3", "--dry-run", "--json"
    )
    assert run.returncode == 0, run.stderr
    planned = [json.loads(line) for line in run.stdout.splitlines()]
    assert [Path(one["source"]).name for one in planned if one["event"] == "planned"] == mine
    assert not (tmp_path / "out").exists()
