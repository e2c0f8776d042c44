"""Downloads from a real server with bad habits: each ends in a verified file, or in one line and nothing."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest
from build_kit import unusable
from package_kit import Package, safetensors_bytes
from server_kit import GOOD, Mood, Rude, Server, certificate

from stylecli.errors import WeightsError
from stylecli.weights import download, locate

DATA = safetensors_bytes(seed=1, count=50_000)  # 100 kB
OTHER = safetensors_bytes(seed=2, count=50_000)
CUT = Mood(cut_after=30_000)
ALL, REST = None, "bytes=30000-"


def refusal(name: str = "far") -> str:
    with pytest.raises(WeightsError) as caught:
        locate(name)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_download_and_then_the_cache(online: Package, server: Server) -> None:
    place = online.add(server.publish("/far", DATA), data=DATA)
    assert locate("far") == place
    assert place.read_bytes() == DATA
    assert online.in_cache() == {"far.safetensors"}
    assert locate("far") == place
    assert server.asked("/far") == [ALL]


@pytest.mark.parametrize("known", [True, False], ids=["digest known", "digest pinned"])
@pytest.mark.parametrize(
    ("moods", "asked"),
    [
        ([CUT], [ALL, REST]),
        ([CUT, Mood(cut_after=20_000), Mood(cut_after=6_000)], [ALL, REST, "bytes=50000-", "bytes=56000-"]),
        ([Mood(cut_after=10_000)] * 5, [ALL, *(f"bytes={n}0000-" for n in range(1, 6))]),  # above the attempts
        ([CUT, Mood(ignore_range=True)], [ALL, REST]),
        ([Mood(data=OTHER, etag='"v0"', cut_after=30_000)], [ALL, REST]),
        ([Mood(data=OTHER, etag='"v0"', cut_after=30_000), Mood(ignore_if_range=True)], [ALL, REST, ALL]),
        ([Mood(status=503)], [ALL, ALL]),
        ([Mood(status=429, headers={"Retry-After": "0"})], [ALL, ALL]),
        ([Mood(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})], [ALL, ALL]),
        ([CUT, Mood(status=500)], [ALL, REST, REST]),
        ([CUT, Mood(status=416)], [ALL, REST, ALL]),
        ([Mood(trickle_s=0.05)], [ALL, ...]),
        ([Mood(hang_after=30_000)], [ALL, REST]),
        ([Mood(silent=True)], [ALL, ALL]),
        ([Mood(claim=0)], [ALL]),
        ([Mood(claim=120_000, cut_after=30_000), GOOD], [ALL, ...]),
    ],
    ids=[
        "cut", "cut thrice", "cut again and again", "range ignored", "file changed", "file changed, If-Range ignored",
        "503", "429", "429 until a date", "500 on the rest", "416", "trickle", "hang", "silence", "no length",
        "wrong length once",
    ],
)  # fmt: skip
def test_ends_in_a_verified_file(
    online: Package, server: Server, moods: list[Mood], asked: list[object], known: bool
) -> None:
    if known and moods[0].claim == 120_000:
        pytest.skip("a wrong length is refused at once where the right one is known")
    place = online.add(server.publish("/far", DATA, *moods), data=DATA if known else None)
    assert locate("far") == place
    assert place.read_bytes() == DATA
    assert online.in_cache() == {"far.safetensors"} | (set() if known else {"far.safetensors.sha256"})
    if ... in asked:
        assert len(server.requests) == 2
    else:
        assert server.asked("/far") == asked


BAD_HEADER = (1 << 60).to_bytes(8, "little") + b"{" + bytes(5000)


@pytest.mark.parametrize(
    ("always", "known", "words"),
    [
        (Mood(claim=len(DATA) - 1), True, "has a file of 100,111 bytes instead of 100,112"),
        (Mood(data=OTHER), True, "sends a wrong file (sha256 "),
        (Mood(data=OTHER + b"x", claim=0), True, "sends more than 100,"),
        (Mood(data=DATA[:-9], claim=0), True, "cut the connection after 100,"),
        (Mood(status=404), True, "answered 404 Not Found"),
        (Mood(status=403), True, "answered 403 Forbidden"),
        (Mood(status=204), True, "answered 204 No Content"),
        (Mood(status=503), True, "answered 503 Service Unavailable (3 attempts)"),
        (Mood(status=429, headers={"Retry-After": "3600"}), True, "wants to be left alone for 3,600 s"),
        (Mood(trickle_s=0.05), True, "sends less than 1,024 bytes a second (3 attempts)"),
        (Mood(silent=True), True, "(3 attempts)"),
        (Mood(cut_after=0), True, "cut the connection after 0 of 100,112 bytes"),
        (Mood(status=302, headers={"Location": "/far"}), True, "redirects in a circle"),
        (
            Mood(status=302, headers={"Location": "file:///etc/passwd"}),
            True,
            "which is a file of this machine",
        ),
        (
            Mood(status=302, headers={"Location": "http://192.0.2.1/far"}),
            True,
            "which is http, which anybody",
        ),
        (
            Mood(status=302, headers={"Location": "ftp://localhost/far"}),
            True,
            "which is not an https address",
        ),
        (Mood(headers={"Content-Encoding": "gzip"}), True, "sends the file packed (gzip)"),
        (Mood(data=b"\x80\x04\x95pickle"), False, "is a pickle, which could run any code"),
        (Mood(data=b"PK\x03\x04" + bytes(900)), False, "is a zip archive"),
        (Mood(data=b"\n<!DOCTYPE html><p>Please log in"), False, "is a web page (a login, or an error?)"),
        (Mood(data=BAD_HEADER), False, "the header claims more bytes than the file has"),
        (Mood(data=DATA[:-9]), False, "is not a safetensors file (100,"),
        (Mood(data=b"x"), False, "is not a safetensors file (only 1 bytes)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_ends_in_one_line(online: Package, server: Server, always: Mood, known: bool, words: str) -> None:
    place = online.add(server.publish("/far", DATA, always=always), data=DATA if known else None)
    line = refusal()
    assert line.startswith("weights far: far.safetensors not fetched: localhost:")
    assert words in line
    assert not place.exists()
    assert online.in_cache() <= {"far.safetensors.part", "far.safetensors.part-notes"}


def test_rest_of_another_run(online: Package, server: Server) -> None:
    place = online.add(server.publish("/far", DATA, always=Mood(status=404)), data=DATA)
    server.publications["/far"].moods.append(CUT)
    refusal()
    assert place.with_name("far.safetensors.part").stat().st_size == 30_000
    server.publish("/far", DATA)
    assert locate("far").read_bytes() == DATA
    assert server.asked("/far")[-1] == REST


@pytest.mark.parametrize("part", [DATA, OTHER, OTHER[:5000], DATA + b"x"])
def test_part_of_unknown_origin(online: Package, server: Server, part: bytes) -> None:
    place = online.add(server.publish("/far", DATA), data=DATA)
    place.parent.mkdir(parents=True)
    place.with_name("far.safetensors.part").write_bytes(part)
    assert locate("far").read_bytes() == DATA
    assert len(server.requests) == (0 if part == DATA else 2 if part == OTHER[:5000] else 1)


@pytest.mark.parametrize(
    "bad", [Mood(status=404), Mood(data=OTHER), Mood(claim=7)], ids=["404", "bytes", "length"]
)
def test_mirrors_in_order(online: Package, server: Server, bad: Mood) -> None:
    online.add(server.publish("/first", DATA, always=bad), server.publish("/second", DATA), data=DATA)
    assert locate("far").read_bytes() == DATA
    assert server.asked("/first") == server.asked("/second") == [ALL]


@pytest.mark.parametrize(("known", "asked"), [(True, REST), (False, ALL)])
def test_a_mirror_goes_on_if_the_digest_tells(
    online: Package, server: Server, known: bool, asked: str | None
) -> None:
    first = server.publish("/first", DATA, CUT, always=Mood(status=404))
    online.add(first, server.publish("/second", DATA), data=DATA if known else None)
    assert locate("far").read_bytes() == DATA
    assert server.asked("/second") == [asked]


def test_no_mirror_has_it(online: Package, server: Server) -> None:
    urls = server.publish("/first", DATA, always=Mood(status=404)), "file:///nowhere/far.safetensors"
    online.add(*urls, data=DATA)
    line = refusal()
    assert "answered 404 Not Found; file:///nowhere/far.safetensors: there is no such file" in line


def test_file_addresses_and_redirects_work(online: Package, server: Server, tmp_path: Path) -> None:
    (tmp_path / "a b.safetensors").write_bytes(DATA)
    online.add((tmp_path / "a b.safetensors").as_uri(), name="near")
    assert locate("near").read_bytes() == DATA
    moved = Mood(status=302, headers={"Location": server.publish("/there", DATA) + "?signature=secret"})
    server.publications["/there?signature=secret"] = server.publications["/there"]
    online.add(server.publish("/here", DATA, always=moved), data=DATA)
    server.publications["/there?signature=secret"].moods.append(CUT)
    assert locate("far").read_bytes() == DATA
    assert server.asked("/here") == [ALL, REST]


def test_pinned_on_first_download(online: Package, server: Server) -> None:
    place = online.add(server.publish("/far", DATA))
    locate("far")
    record = place.with_name("far.safetensors.sha256")
    assert record.read_text().endswith("  far.safetensors\n")
    changed = bytearray(DATA)
    changed[-1] ^= 1
    place.write_bytes(changed)
    line = refusal()
    assert "which it had when it was first seen" in line and "stylize weights fetch far" in line
    # Fetched again, it has to be the same; what was published meanwhile is not.
    place.unlink()
    server.publish("/far", OTHER, etag='"v2"')
    line = refusal()
    assert "sends a wrong file" in line and "'stylize weights remove far' forgets that" in line
    assert not place.exists()
    server.publish("/far", DATA, etag='"v3"')
    assert locate("far").read_bytes() == DATA
    record.write_text("no digest")
    assert "holds no sha256" in refusal()


def test_offline_asks_nobody(online: Package, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.publish("/far", DATA)
    place = online.add(url, data=DATA)
    with monkeypatch.context() as patch:
        patch.setenv("STYLIZE_OFFLINE", "1")
        patch.setattr(socket, "socket", None)
        line = refusal()
    assert (
        f"far.safetensors is missing and STYLIZE_OFFLINE forbids fetching it; copy {url} to {place}" in line
    )
    assert server.requests == [] and not online.cache.exists()
    monkeypatch.setenv("STYLIZE_OFFLINE", "0")
    assert locate("far") == place


@pytest.mark.parametrize("target", ["elsewhere", "in the cache"])
def test_links_are_not_followed_out(online: Package, server: Server, tmp_path: Path, target: str) -> None:
    place = online.add(server.publish("/far", DATA), data=DATA)
    outside = tmp_path / "outside.safetensors"
    outside.write_bytes(DATA)
    place.parent.mkdir(parents=True)
    if target == "elsewhere":
        place.symlink_to(outside)
        assert "a symbolic link leads out of the cache" in refusal()
    else:
        place.with_name("far.safetensors.part").symlink_to(outside)
        assert "cannot be written" in refusal()
    assert outside.read_bytes() == DATA
    shutil.rmtree(place.parent)
    place.parent.symlink_to(tmp_path, target_is_directory=True)
    assert "a symbolic link leads out of the cache" in refusal()
    assert server.requests == [] or target != "elsewhere"


@pytest.mark.parametrize("kind", ["read-only", "full"])
def test_cache_that_cannot_be_written(
    online: Package, server: Server, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    online.add(server.publish("/far", DATA), data=DATA)
    with unusable(kind, tmp_path) as folder:
        monkeypatch.setenv("STYLIZE_CACHE", str(folder))
        line = refusal()
    assert "cannot be written (" in line and "STYLIZE_CACHE names another folder" in line


def test_more_than_the_disk_has_is_not_begun(
    online: Package, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    online.add(server.publish("/far", DATA))
    monkeypatch.setattr(download, "_SPARE", 1 << 60)
    assert " bytes needed, " in refusal()
    assert "far.safetensors" not in online.in_cache()


def test_certificate_that_nobody_signed(
    online: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = certificate(tmp_path)
    with Server(signed) as secure, Server() as plain:
        online.add(secure.publish("/far", DATA), data=DATA)
        line = refusal()
        assert "its certificate is not trusted (self-signed certificate)" in line and "SSL_CERT_FILE" in line
        assert secure.requests == []
        # Trusted, it works, but not as a way to http.
        monkeypatch.setenv("SSL_CERT_FILE", str(signed))
        away = Mood(status=302, headers={"Location": plain.publish("/far", DATA)})
        online.add(secure.publish("/away", DATA, always=away), data=DATA, name="away")
        assert "which is not https" in refusal("away")
        assert plain.requests == []
        assert locate("far").read_bytes() == DATA


def test_connection_closed_during_tls(online: Package) -> None:
    with Rude() as address:
        online.add(f"{address}/far", data=DATA)
        line = refusal()
    assert "cut the connection (3 attempts)" in line


def test_nobody_answers(online: Package) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    online.add(f"http://localhost:{port}/far", data=DATA)
    assert "refuses connections (3 attempts)" in refusal()


def test_proxies_of_the_environment(
    online: Package, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(signed))
    with Server(proxy=True) as proxy, Server(signed) as secure:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.address)
        online.add(server.publish("/far", DATA), data=DATA)
        online.add(secure.publish("/safe", DATA), data=DATA, name="safe")
        assert locate("far").read_bytes() == locate("safe").read_bytes() == DATA
        assert [request.method for request in proxy.requests] == ["GET", "CONNECT"]
        monkeypatch.setenv("no_proxy", "localhost")
        online.add(server.publish("/direct", DATA), data=DATA, name="direct")
        locate("direct")
        assert len(proxy.requests) == 2


def test_fetching_replaces_what_is_damaged(online: Package, server: Server) -> None:
    from stylecli.weights.fetching import fetch
    from stylecli.weights.store import named

    place = online.add(server.publish("/far", DATA), data=DATA)
    place.parent.mkdir(parents=True)
    place.write_bytes(OTHER)
    network = named("far")
    assert "'stylize weights fetch far' fetches it again" in refusal()
    assert fetch(network, network.file()).read_bytes() == DATA
    os.truncate(place, 99)
    assert "99 bytes instead of" in refusal()
