"""When a painting is recorded, replayed and done without; graphs themselves are proven on cards (proving.py)."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.models.kept import held_in
from stylecli.models.layers import noise
from stylecli.paint.cuda_graphs import Paint, Recording, Recordings, painted


class Recorder:
    """Stands in for a card: a replay computes from what lies in the recording's own content."""

    def __init__(self, works: bool = True):
        self.works, self.recorded, self.replayed = works, 0, 0

    def __call__(self, paint: Paint, content: Tensor) -> Recording:
        self.recorded += 1
        if not self.works:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")
        own, out = content.clone(), torch.empty_like(content)

        def replay() -> None:
            self.replayed += 1
            out.copy_(paint(own))

        return Recording(own, out, replay)


def pictures(count: int, side: int = 16) -> list[Tensor]:
    return [torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(n)) for n in range(count)]


def test_what_is_painted_again_is_recorded_and_replayed() -> None:
    recorder = Recorder()
    recordings = Recordings(recorder)
    results = [recordings.paint(torch.neg, picture, "style") for picture in pictures(4)]
    assert [recorder.recorded, recorder.replayed] == [1, 3]
    assert all(torch.equal(result, -picture) for result, picture in zip(results, pictures(4), strict=True))


def test_another_style_size_or_number_format_is_another_recording() -> None:
    recorder = Recorder()
    recordings = Recordings(recorder)
    (first,), (large,) = pictures(1), pictures(1, 32)
    kinds = [
        (first, "a", torch.neg),
        (first, "b", torch.exp),
        (large, "b", torch.exp),
        (first.half(), "b", torch.exp),
    ]
    for content, key, paint in kinds:
        for _ in range(3):
            assert torch.equal(recordings.paint(paint, content, key), paint(content))
    assert recorder.recorded == len(kinds)
    assert torch.equal(recordings.paint(torch.neg, first, "a"), -first)  # the oldest was given up
    assert recorder.recorded == len(kinds)


def test_pictures_that_all_differ_in_size_are_not_recorded() -> None:
    recorder = Recorder()
    recordings = Recordings(recorder)
    for side in (16, 24, 16, 24, 32):
        recordings.paint(torch.neg, *pictures(1, side), "style")
    assert recorder.recorded == 0


def test_where_recording_fails_it_is_tried_once_and_all_is_painted() -> None:
    recorder = Recorder(works=False)
    recordings = Recordings(recorder)
    for picture in pictures(5):
        assert torch.equal(recordings.paint(torch.neg, picture, "style"), -picture)
    assert recorder.recorded == 1


def test_noise_that_a_recording_reads_is_held() -> None:
    held: list[Tensor] = []
    cpu = torch.device("cpu")
    with held_in(held):
        first = noise(8, 8, 3, cpu, torch.float32)
    noise(8, 8, 4, cpu, torch.float32)
    assert len(held) == 1 and held[0] is first


def test_a_cpu_records_nothing() -> None:
    calls: list[Tensor] = []
    for picture in pictures(3):
        painted(lambda x: calls.append(x) or x, picture, "style")
    assert len(calls) == 3
