"""Lines of plain, gzip and zstandard files: whole, cut at every place, spoilt, hostile."""

from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.errors import ConfigError, InputError
from grinder.feeds import reading
from grinder.feeds.reading import line_blocks

LINES = [f"{at} line {at * 7919 % 1000}".encode() for at in range(400)]
TEXT = b"\n".join(LINES) + b"\n"


def lines_of(path, on_damage=None):
    return [line for block in line_blocks(path, on_damage) for line in block]


def pack(kind, data):
    return {
        "plain": bytes,
        "gz": lambda d: gzip.compress(d, mtime=0),
        "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    }[kind](data)


@pytest.mark.parametrize("kind", ["plain", "gz", "zst"])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_every_line_once_whatever_the_name(tmp_path, kind, end):
    path = tmp_path / "name.says.nothing"
    path.write_bytes(pack(kind, TEXT.rstrip(b"\n") + end))
    assert lines_of(path) == LINES


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_several_members_are_one_file(tmp_path, kind):
    path = tmp_path / "x"
    path.write_bytes(pack(kind, TEXT[:777]) + pack(kind, TEXT[777:]))
    assert lines_of(path) == LINES


def test_zero_padding_after_gzip_is_no_damage(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(pack("gz", TEXT) + b"\0" * 1000)
    assert lines_of(path) == LINES


@settings(deadline=None, max_examples=60)
@given(text=st.binary(max_size=300), kind=st.sampled_from(["plain", "gz", "zst"]), step=st.integers(1, 40))
def test_lines_do_not_depend_on_how_the_file_is_read(tmp_path_factory, text, kind, step):
    path = tmp_path_factory.mktemp("r") / "x"
    text = b"1" + text
    path.write_bytes(pack(kind, text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_READ", step)
        patch.setattr(reading, "_INFLATE", step)
        found = lines_of(path)
    expected = text.split(b"\n")
    assert found == (expected if expected[-1] else expected[:-1])


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_cut_at_every_place_is_reported_and_tolerance_uses_what_is_whole(tmp_path, kind):
    path = tmp_path / "cut"
    data = pack(kind, TEXT)
    for size in range(5, len(data), 11):
        path.write_bytes(data[:size])
        with pytest.raises(
            InputError, match=r"truncated after line .*fetch it again, or run with --tolerant"
        ) as caught:
            lines_of(path)
        assert str(path) in str(caught.value)
        damage = []
        found = lines_of(path, damage.append)
        assert damage == ["truncated"]
        assert found == LINES[: len(found)]
        assert caught.value.line == len(found)


def test_a_cut_gzip_file_keeps_nearly_all_that_was_written(tmp_path):
    path = tmp_path / "cut"
    lines = [b"%d %s" % (at, os.urandom(20).hex().encode()) for at in range(5_000)]
    data = gzip.compress(b"\n".join(lines))
    path.write_bytes(data[: len(data) // 2])
    found = lines_of(path, lambda _kind: None)
    assert found == lines[: len(found)]
    assert 2_000 < len(found) < 3_000


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_flipped_bits_never_give_a_traceback(tmp_path, kind):
    path = tmp_path / "flipped"
    data = pack(kind, TEXT)
    reported = 0
    places = range(8, len(data), 13)
    for at in places:
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        damage = []
        found = lines_of(path, damage.append)
        if damage:
            reported += 1
            assert damage in (["corrupt"], ["truncated"])
            with pytest.raises(InputError, match=damage[0]):
                lines_of(path)
        else:
            # Some bytes of a header tell nothing about the data.
            assert found == LINES
    assert reported > len(places) - 3


def test_a_wrong_checksum_is_corrupt_and_costs_no_line(tmp_path):
    path = tmp_path / "crc"
    data = bytearray(pack("gz", TEXT))
    data[-6] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="corrupt after line 400"):
        lines_of(path)
    damage = []
    assert lines_of(path, damage.append) == LINES
    assert damage == ["corrupt"]


def test_garbage_after_a_member_is_corrupt(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(pack("gz", TEXT) + b"garbage")
    with pytest.raises(InputError, match="corrupt after line 400"):
        lines_of(path)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_LINE", 1 << 20)
    path = tmp_path / "long"
    path.write_bytes(b"first\n" + b"x" * (2 << 20))
    with pytest.raises(InputError, match="line 2: the line is longer than 1 MiB"):
        lines_of(path)


def test_a_bomb_takes_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_LINE", 4 << 20)
    for name, data in (
        ("gz", zlib.compress(b"\0" * (200 << 20), wbits=31)),
        ("zst", zstandard.ZstdCompressor().compress(b"\0" * (200 << 20))),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        del data
        tracemalloc.start()
        with pytest.raises(InputError, match=r"longer than 4 MiB|no market data"):
            lines_of(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 160 << 20


@pytest.mark.parametrize("on_damage", [None, lambda _: None], ids=["strict", "tolerant"])
@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_bomb_of_short_lines_is_refused_as_it_unpacks(tmp_path, kind, on_damage):
    path = tmp_path / "bomb"
    path.write_bytes(pack(kind, b" \n" * (32 << 20)))
    taken: list[int] = []
    with pytest.raises(
        InputError, match=r"bomb: it unpacks from [\d,]+ to [\d,]+ bytes or more; that is no market data"
    ):
        taken.extend(map(len, line_blocks(path, on_damage)))
    assert 2 * sum(taken) <= max(200 * path.stat().st_size, 1 << 20)
    path.write_bytes(pack(kind, b" \n" * (1 << 18)))
    assert len(lines_of(path)) == 1 << 18, "a small file may repeat itself"
    path.write_bytes(pack(kind, os.urandom(20_000).hex().encode() * 100))
    assert len(lines_of(path)) == 1, "as may one that is large"


def test_missing_files_and_directories_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.gz does not exist"):
        lines_of(tmp_path / "nothing.gz")
    with pytest.raises(ConfigError, match="is a directory"):
        lines_of(tmp_path)
