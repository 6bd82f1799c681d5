"""``grinder report`` and ``grinder compare`` on good, cut, foreign and missing files."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from grinder.cli.main import invoke
from grinder.engine.options import RunOptions
from grinder.engine.session import Session

SECOND = 10**9


def make(out: Path, *overrides: str, seconds: int = 9, seed: int = 1) -> Path:
    options = RunOptions(out=out, duration=seconds * SECOND, seed=seed, overrides=overrides)
    Session.open(options).run()
    return out


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    make(folder / "a", "plugins.warm_up.seconds=2")
    make(folder / "again", "plugins.warm_up.seconds=2")
    make(folder / "b", "plugins.warm_up.seconds=5")
    make(folder / "finer", "plugins.warm_up.seconds=2", "plugins.liquidity_by_side.alpha=1.4999")
    make(folder / "seed", "plugins.warm_up.seconds=2", seed=2)
    return folder


@pytest.fixture
def copy(runs, tmp_path):
    for file in (runs / "a").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_the_page_is_the_one_that_the_run_wrote(runs, tmp_path, capsys):
    written = (runs / "a" / "report.html").read_bytes()
    page = tmp_path / "page.html"
    assert invoke(["report", str(runs / "a"), "--out", str(page)]) == 0
    assert page.read_bytes() == written
    assert capsys.readouterr().out == f"{page}\n"
    assert page.stat().st_mode & 0o777 == 0o600
    assert (runs / "a" / "report.html").read_bytes() == written


def test_json_says_where_the_page_is(copy, capsys):
    (copy / "report.html").unlink()
    assert invoke(["report", str(copy), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    page = copy / "report.html"
    assert (said["page"], said["bytes"]) == (str(page), page.stat().st_size)
    assert (said["complete"], said["problems"]) == (True, [])


FILES = ("summary.json", "decisions.jsonl", "fills.jsonl", "markouts.jsonl", "timeline.jsonl", "settings.json")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named_and_the_rest_is_shown(copy, capsys, name):
    (copy / name).unlink()
    assert invoke(["report", str(copy), "--json"]) == 0
    output = capsys.readouterr()
    assert f"{name} is missing" in output.err
    assert [p for p in json.loads(output.out)["problems"] if name in p]
    assert f"{name} is missing" in (copy / "report.html").read_text()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"\x00\xff\n", b"[1,2]\n"])
def test_a_foreign_file_is_corrupt_and_the_rest_is_shown(copy, capsys, name, content):
    (copy / name).write_bytes(content)
    assert invoke(["report", str(copy)]) == 3
    output = capsys.readouterr()
    assert output.err.rstrip().splitlines()[-1].startswith(f"error: {copy / name}")
    assert (copy / "report.html").stat().st_size > 20_000


@pytest.mark.parametrize("name", ["decisions.jsonl", "fills.jsonl", "markouts.jsonl", "timeline.jsonl"])
def test_a_line_that_is_cut_off_is_passed_over(copy, capsys, name):
    content = (copy / name).read_bytes()
    assert content
    (copy / name).write_bytes(content[:-20])
    assert invoke(["report", str(copy)]) == 0
    assert f"The last line of {name} is cut off" in capsys.readouterr().err


def test_corrupt_lines_are_named_by_number(copy, capsys):
    lines = (copy / "decisions.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = b"{}\n"
    (copy / "decisions.jsonl").write_bytes(b"".join(lines))
    assert invoke(["report", str(copy)]) == 3
    assert "decisions.jsonl, line 3: is corrupt" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["report"], ["compare", "{good}"]])
def test_what_is_no_run_is_refused(runs, tmp_path, capsys, command):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    given = [word.format(good=runs / "a") for word in command]
    for what, says in (
        ("absent", "does not exist"),
        ("file", "is a file"),
        ("empty", "holds no run (none of summary.json"),
    ):
        assert invoke([*given, str(tmp_path / what)]) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "empty" / "report.html").exists()


@pytest.mark.parametrize("command", [["report", "{a}"], ["compare", "{a}", "{b}"]])
def test_a_page_that_cannot_be_written_is_refused(runs, tmp_path, capsys, command):
    given = [word.format(a=runs / "a", b=runs / "b") for word in command]
    assert invoke([*given, "--out", str(tmp_path)]) == 2
    assert "is a directory" in capsys.readouterr().err
    assert invoke([*given, "--out", str(tmp_path / "no" / "page.html")]) == 2
    assert f"folder {tmp_path / 'no'} does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*FILES, "payments.jsonl", "metrics.prom"])
def test_a_page_never_replaces_a_record(copy, runs, capsys, name):
    before = (copy / name).read_bytes()
    for given in (["report", str(copy)], ["compare", str(runs / "a"), str(copy)]):
        assert invoke([*given, "--out", str(copy / name)]) == 2
        assert "is a record of the run in" in capsys.readouterr().err
    assert (copy / name).read_bytes() == before


def test_a_place_where_no_file_can_be_is_told_with_what_to_do(copy, capsys):
    assert invoke(["report", str(copy), "--out", "/proc/no-page-goes-here.html"]) == 3
    assert capsys.readouterr().err.endswith("no file can be made there: name another place\n")
    for command in (
        ["report", str(copy), "--out", "x" * 300],
        ["report", "x" * 300],
        ["explain", "last", "--run", "x" * 300],
    ):
        assert invoke(command) == 2
        assert capsys.readouterr().err == f"error: {'x' * 60}...: File name too long; name another place\n"


def test_a_page_is_not_written_through_a_link_or_over_a_device(copy, tmp_path, capsys):
    (tmp_path / "link").symlink_to(copy / "decisions.jsonl")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        assert invoke(["report", str(copy), "--out", str(tmp_path / name)]) == 2
        assert "is a link or no ordinary file" in capsys.readouterr().err
    assert (tmp_path / "link").is_symlink()


def compared(capsys, *args: object) -> dict:
    assert invoke(["compare", *map(str, args), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_equal_runs_are_the_same(runs, capsys):
    said = compared(capsys, runs / "a", runs / "again")
    assert said["same"]
    assert (said["parting"], said["noticed"], said["given"]) == (None, None, [])
    assert said["decided"] == json.loads((runs / "a" / "summary.json").read_text())["intents"]
    assert {f["name"] for f in said["figures"] if f["a"] != f["b"]} <= {
        f["name"] for f in said["figures"] if f["measured"]}  # fmt: skip
    assert invoke(["compare", str(runs / "a"), str(runs / "again"), "--fail-on-difference"]) == 0
    assert "The runs are the same" in capsys.readouterr().out


def test_runs_part_at_the_first_order_that_is_decided_differently(runs, capsys):
    said = compared(capsys, runs / "a", runs / "b")
    assert not said["same"]
    assert said["given"] == [{"kind": "setting", "key": "plugins.warm_up.seconds", "a": 2.0, "b": 5.0}]
    parting = said["parting"]
    one, other = (
        [json.loads(line) for line in (runs / name / "decisions.jsonl").read_text().splitlines()] for name in "ab"
    )
    place = next(n for n, (x, y) in enumerate(zip(one, other, strict=False)) if x["outcome"] != y["outcome"])
    assert parting["number"] == place + 1
    assert parting["same_order"]
    assert (parting["a"], parting["b"]) == (one[place], other[place])
    assert {"outcome", "reason", "by"} <= set(parting["keys"])
    assert said["noticed"]["number"] == 1, "the threshold stands in the first record"
    figures = {(f["group"], f["name"]): f for f in said["figures"]}
    blocked = figures["wanted", "orders blocked"]
    assert blocked["difference"] == blocked["b"] - blocked["a"] > 0
    assert figures["reason", "WARMUP"]["difference"] > 0
    kinds = Counter(row["order"]["kind"] == "CANCEL" for row in one)
    assert (figures["wanted", "orders"]["a"], figures["wanted", "cancels"]["a"]) == (kinds[False], kinds[True])
    assert kinds[True] > 0

    assert invoke(["compare", str(runs / "a"), str(runs / "b"), "--fail-on-difference"]) == 1
    text = capsys.readouterr().out
    assert f"At decision {place + 1} the same order is decided differently." in text
    assert "was ALLOWED" in text
    assert "was BLOCKED by warm_up" in text


def test_a_setting_that_changes_nothing_is_no_difference(runs, capsys):
    said = compared(capsys, runs / "a", runs / "finer")
    assert said["same"]
    assert said["parting"] is None
    assert said["noticed"]["keys"] == ["gates"]
    assert [row["key"] for row in said["given"]] == ["plugins.liquidity_by_side.alpha"]
    assert invoke(["compare", str(runs / "a"), str(runs / "finer"), "--fail-on-difference"]) == 0


def test_what_was_given_fits_the_screen(copy, runs, capsys):
    """Inputs by number, with their path and the beginning of their hash, however long the path is."""
    path = copy / "summary.json"
    summary = json.loads(path.read_text())
    summary["inputs"] = [{"path": "a/" * 60 + "b.gz", "sha256": "0123456789abcdef" * 4, "first_ns": 1, "last_ns": 2}]
    summary["plugins"].append({"name": "p" * 70, "version": "1.0"})
    path.write_text(json.dumps(summary))
    said = compared(capsys, runs / "a", copy)
    (row,) = [row for row in said["given"] if row["kind"] == "input"]
    assert (row["key"], row["a"]) == ("1", "synthetic:1 2024-08-09T00:00:00Z, 9 s")
    assert row["b"] == "a/" * 60 + "b.gz 0123456789ab"
    assert invoke(["compare", str(runs / "a"), str(copy)]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[lines.index("") + 1 :]
    table = table[: table.index("")]
    (told,) = [line for line in table if line.startswith("input 1 ")]
    assert told.endswith("b.gz 0123456789ab")
    assert max(len(line) for line in table) <= 120


def test_an_input_that_lies_elsewhere_is_the_same(copy, capsys):
    summary = json.loads((copy / "summary.json").read_text())
    summary["inputs"][0]["sha256"] = "5" * 64
    other = copy.parent / "elsewhere"
    shutil.copytree(copy, other)
    for folder, name in ((copy, "here.gz"), (other, "there.gz")):
        summary["inputs"][0]["path"] = name
        (folder / "summary.json").write_text(json.dumps(summary))
    assert compared(capsys, copy, other)["given"] == []


def test_a_name_has_the_same_colour_in_both_runs(copy, runs, tmp_path, capsys):
    """What is most frequent in one run is not so in the other."""
    lines = [json.loads(line) for line in (copy / "decisions.jsonl").read_text().splitlines()]
    for n, row in enumerate(row for row in lines if row["outcome"] == "blocked"):
        row.update({"reason": "WARMUP" if n % 9 == 0 else "LIQUIDITY_LOW", "by": "warm_up" if n % 9 == 0 else "other"})
    (copy / "decisions.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in lines))
    page = tmp_path / "compare.html"
    assert invoke(["compare", str(runs / "a"), str(copy), "--out", str(page)]) == 0
    text = page.read_text()
    styles = {}
    for style, name in re.findall(r'<path class="bar (c\d)" data-name="([^"]*)"', text):
        styles.setdefault(name, []).append(style)
    assert len(styles["WARMUP"]) == len(styles["warm_up"]) == 2
    assert all(len(set(drawn)) == 1 for drawn in styles.values()), styles
    assert set(styles["WARMUP"]) != set(styles["LIQUIDITY_LOW"])
    assert re.search(r"<dt>Net PnL</dt><dd>(no change|[+\N{MINUS SIGN}][\d,]+\.\d\d)<", text)
    legend = re.search(r"A: share not sent, by gate or rule</b>(.*?)<output", text, re.DOTALL)[1]
    assert "warm_up" in legend
    assert "other" not in legend, "nothing of it is drawn there"


def test_another_seed_is_another_run(runs, capsys):
    said = compared(capsys, runs / "a", runs / "seed")
    assert not said["same"]
    assert ("run", "seed") in {(row["kind"], row["key"]) for row in said["given"]}
    assert said["parting"]["number"] >= 1


def test_names_of_a_run_do_not_part_it(copy, runs, capsys):
    """The same decisions under other ids, as another process would name them."""
    lines = [json.loads(line) for line in (copy / "decisions.jsonl").read_text().splitlines()]
    for row in lines:
        row["id"] = "zz" + row["id"]
        row.get("order", {}).pop("target", None)
    (copy / "decisions.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in lines))
    assert compared(capsys, runs / "a", copy)["parting"] is None


def test_a_run_that_ends_earlier_parts_there(copy, runs, capsys):
    lines = (copy / "decisions.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "decisions.jsonl").write_bytes(b"".join(lines[:-3]))
    said = compared(capsys, copy, runs / "a")
    assert said["parting"]["number"] == len(lines) - 2
    assert said["parting"]["a"] is None
    assert invoke(["compare", str(copy), str(runs / "a")]) == 0
    assert "Then A ends, and the other goes on." in capsys.readouterr().out


def test_the_page_of_two_runs(runs, tmp_path, capsys):
    page = tmp_path / "compare.html"
    assert invoke(["compare", str(runs / "a"), str(runs / "b"), "--out", str(page)]) == 0
    text = page.read_text()
    assert text.count('data-name="A"') == text.count('data-name="B"') == 1
    assert "A: share not sent, by reason" in text
    assert "B: share not sent, by reason" in text
    assert "plugins.warm_up.seconds" in text
    assert "http" not in text.replace("http-equiv", "")
    assert invoke(["compare", str(runs / "a"), str(runs / "b"), "--out", str(tmp_path / "twice.html")]) == 0
    assert (tmp_path / "twice.html").read_text() == text


def test_runs_that_lack_files_are_compared_as_far_as_they_go(copy, runs, tmp_path, capsys):
    for name in ("timeline.jsonl", "settings.json", "summary.json"):
        (copy / name).unlink()
    page = copy / "compare.html"
    assert invoke(["compare", str(runs / "a"), str(copy), "--out", str(page), "--json"]) == 0
    output = capsys.readouterr()
    said = json.loads(output.out)
    assert said["parting"] is None
    assert len(said["b"]["problems"]) == 3
    assert output.err.count("is missing") == 3
    assert "This is A; the other run left no timeline." in page.read_text()


def test_a_corrupt_run_is_compared_and_named(copy, runs, capsys):
    with (copy / "decisions.jsonl").open("ab") as file:
        file.write(b"garbage\n")
    assert invoke(["compare", str(runs / "a"), str(copy)]) == 3
    output = capsys.readouterr()
    assert "The runs are the same" in output.out
    assert "decisions.jsonl, line" in output.err


def test_what_is_shown_cannot_steer_the_terminal(copy, runs, capsys):
    lines = [json.loads(line) for line in (copy / "decisions.jsonl").read_text().splitlines()]
    lines[0] |= {"outcome": "blocked", "reason": "\x1b[31mEVIL", "by": "\x1b]0;x\x07", "detail": "\x1b[2J"}
    (copy / "decisions.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in lines))
    summary = json.loads((copy / "summary.json").read_text())
    summary["run_id"] = "\x1b[2J"
    summary["decisions"]["by_gate"]["\x1b[2J"] = {"block": 1}
    summary["decisions"]["by_reason"]["\x1b[2J"] = 1
    (copy / "summary.json").write_text(json.dumps(summary))
    (copy / "settings.json").write_text(json.dumps({"settings": {"\x1b[2J": "\x1b[2J"}}))
    assert invoke(["compare", str(runs / "a"), str(copy)]) == 0
    assert "\x1b" not in capsys.readouterr().out


# Fills and payments, in pairs.


@pytest.fixture
def two(copy, tmp_path_factory):
    """Two copies of one run, without what its process counted and hashed."""
    other = tmp_path_factory.mktemp("two")
    (copy / "summary.json").unlink()
    for file in copy.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    return copy, other


def records(folder, name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def write(folder, name, rows):
    (folder / name).write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def swap(rows, key):
    """Change two rows so that no sum changes; say which is the first."""
    first, second = next((i, i + 1) for i in range(len(rows) - 1) if rows[i][key] != rows[i + 1][key])
    rows[first][key], rows[second][key] = rows[second][key], rows[first][key]
    return first


PAID = {"kind": "FUNDING", "payment_id": "f1", "at_ns": 1, "ts_ns": 1, "symbol": "BTCUSDT", "amount": "1", "asset": "X"}


@pytest.mark.parametrize("key", ["price", "qty", "fee", "intent_id", "exchange_ns", "maker"])
def test_fills_that_only_changed_places_are_found(two, capsys, key):
    a, b = two
    rows = records(b, "fills.jsonl")
    if key == "maker":
        rows[0]["maker"] = not rows[0]["maker"]
        place = 0
    else:
        place = swap(rows, key)
    write(b, "fills.jsonl", rows)
    assert invoke(["compare", str(a), str(b), "--fail-on-difference"]) == 1
    assert f"The runs differ from fill {place + 1} on ({key})." in capsys.readouterr().out
    said = compared(capsys, a, b)
    assert not said["same"]
    assert (said["fills"]["parting"]["number"], said["fills"]["parting"]["keys"]) == (place + 1, [key])


def test_payments_are_compared(two, capsys):
    a, b = two
    for folder, amounts in ((a, ("1", "2")), (b, ("2", "1"))):
        write(folder, "payments.jsonl", [PAID | {"payment_id": folder.name, "amount": amount} for amount in amounts])
    assert invoke(["compare", str(a), str(b), "--fail-on-difference"]) == 1
    assert "The runs differ from payment 1 on (amount)." in capsys.readouterr().out
    write(b, "payments.jsonl", [PAID | {"amount": amount} for amount in ("1", "2")])
    assert invoke(["compare", str(a), str(b), "--fail-on-difference"]) == 0
    said = capsys.readouterr().out
    assert f"{len(records(a, 'fills.jsonl'))} fills, 2 payments, every figure" in said


def test_a_fill_more_is_found(two, capsys):
    a, b = two
    rows = records(b, "fills.jsonl")
    write(b, "fills.jsonl", [*rows, rows[-1] | {"qty": "0"}])
    assert not compared(capsys, a, b)["same"]


def test_fills_named_by_another_process_are_the_same(two, capsys):
    a, b = two
    rows = records(b, "fills.jsonl")
    for number, row in enumerate(rows):
        row |= {"intent_id": f"zz-7-{row['intent_id'].rpartition('-')[2]}", "client_id": "x", "trade_id": f"v{number}"}
    write(b, "fills.jsonl", rows)
    assert compared(capsys, a, b)["same"]


@pytest.mark.parametrize("name", ["fills.jsonl", "payments.jsonl"])
def test_what_is_missing_in_both_is_not_called_the_same(two, tmp_path, capsys, name):
    for folder in two:
        (folder / name).unlink()
    page = tmp_path / "compare.html"
    assert invoke(["compare", *map(str, two), "--fail-on-difference", "--out", str(page)]) == 1
    says = f"{name} is missing in A and B: {name.partition('.')[0]} could not be compared."
    assert says in capsys.readouterr().out
    assert says in page.read_text()


def test_names_in_records_cannot_steer_the_terminal(two, tmp_path, capsys):
    a, b = two
    for name in ("fills.jsonl", "payments.jsonl"):
        write(b, name, [row | {"\x1b[2J": 1} for row in records(b, name)] or [PAID | {"\x1b[2J": 1}])
    write(b, "decisions.jsonl", [row | {"\x1b]0;x\x07": 1} for row in records(b, "decisions.jsonl")])
    assert invoke(["compare", str(a), str(b), "--out", str(tmp_path / "c.html")]) == 0
    said = capsys.readouterr()
    assert "\\x1b[2J" in said.out
    assert "\\x1b]0;x\\x07" in said.out
    assert "\x1b" not in said.out + said.err + (tmp_path / "c.html").read_text()
