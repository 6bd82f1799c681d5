"""Files of Binance's public archive: every kind, with and without header, in csv and zip; damage and hostile zips."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from grinder.errors import ConfigError, InputError
from grinder.feeds import damage, open_recordings
from grinder.types import Side, TopOfBook, Trade

T0 = 1_723_161_600_000
MS = 10**6
AGG = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
TRADES = "id,price,qty,quote_qty,time,is_buyer_maker"
QUOTES = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"


def agg(at, number, *, scale=1, maker="false", more="", price="61800.10"):
    return f"{number},{price},0.005,{number},{number},{(T0 + at) * scale},{maker}{more}"


def trade(at, number, *, scale=1, maker="true", more="", price="61800.10"):
    return f"{number},{price},0.005,309.0,{(T0 + at) * scale},{maker}{more}"


def quote(at, number, bid="61800.00", ask="61800.10"):
    return f"{number},{bid},1.5,{ask},2.25,{T0 + at},{T0 + at + 3}"


def write(folder, name, *lines, pack=None, end="\n"):
    text = (end.join(lines) + end).encode()
    path = folder / name
    if pack is None:
        path.write_bytes(text)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(pack, text)
    return path


KINDS = {
    "usdm aggTrades": ("aggTrades", AGG, [agg(0, 1), agg(5, 2)], "binance-usdm"),
    "usdm trades": ("trades", TRADES, [trade(0, 1), trade(5, 2)], "binance-usdm"),
    "usdm bookTicker": ("bookTicker", QUOTES, [quote(0, 1), quote(5, 2)], "binance-usdm"),
    "spot aggTrades": (
        "aggTrades",
        "",
        [agg(0, 1, maker="False", more=",True"), agg(5, 2, maker="False", more=",True")],
        "binance-spot",
    ),
    "spot trades": ("trades", "", [trade(0, 1, more=",true"), trade(5, 2, more=",true")], "binance-spot"),
    "spot aggTrades in us": (
        "aggTrades",
        AGG + ",is_best_match",
        [agg(0, 1, scale=1000, more=",True"), agg(5, 2, scale=1000, more=",True")],
        "binance-spot",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_kind_with_and_without_header(tmp_path, kind, packed, end):
    name, header, rows, market = KINDS[kind]
    stem = f"BTCUSDT-{name}-2024-08-09"
    for lines in ([header, *rows], rows) if header else (rows,):
        path = write(
            tmp_path, stem + (".zip" if packed else ".csv"), *lines, pack=f"{stem}.csv" if packed else None, end=end
        )
        feed = open_recordings([path])
        assert feed.markets == {"BTCUSDT": market}
        assert feed.inputs[0].format == f"{market} archive"
        assert (feed.first_ns, feed.last_ns) == (T0 * MS, (T0 + 5) * MS)
        events = list(feed)
        assert [event.local_ns for event in events] == [T0 * MS, (T0 + 5) * MS]
        assert all(event.exchange_ns == event.local_ns for event in events)
        if name == "bookTicker":
            assert events[0] == TopOfBook("BTCUSDT", T0 * MS, T0 * MS, 1, "61800.00", "1.5", "61800.10", "2.25")
        else:
            taker = Side.SELL if name == "trades" else Side.BUY
            assert events[0] == Trade("BTCUSDT", T0 * MS, T0 * MS, 1, "61800.10", "0.005", taker)
        assert feed.ignored == ({"header": 1} if len(lines) == 3 else {})


def test_quotes_and_prints_of_a_day_are_one_feed(tmp_path):
    quotes = write(tmp_path, "BTCUSDT-bookTicker-2024-08-09.csv", QUOTES, *(quote(10 * n, n + 1) for n in range(50)))
    prints = write(tmp_path, "BTCUSDT-aggTrades-2024-08-09.csv", AGG, *(agg(15 * n + 1, n + 1) for n in range(40)))
    feed = open_recordings([quotes, prints])
    times = [event.local_ns for event in feed]
    assert times == sorted(times)
    assert len(times) == 90
    again = write(tmp_path, "BTCUSDT-trades-2024-08-09.csv", TRADES, trade(3, 1))
    with pytest.raises(ConfigError, match="both hold btcusdt@trade at the same time"):
        open_recordings([prints, again])
    spot = write(tmp_path, "BTCUSDT-trades-2024-08-10.csv", trade(3, 1, more=",true"))
    with pytest.raises(ConfigError, match="of two markets"):
        open_recordings([quotes, spot])


@pytest.mark.parametrize("name", ["trades.csv", "BTCUSDT-trades-2024-08-09.csv", "btcusdt-aggTrades-2024-08-09.csv"])
def test_a_name_that_does_not_tell_the_symbol_is_refused(tmp_path, name):
    path = write(tmp_path, name, AGG, agg(0, 1))
    with pytest.raises(ConfigError, match=r"does not name its symbol.*BTCUSDT-aggTrades-2024-08-09\.csv"):
        open_recordings([path])


def test_the_name_inside_a_zip_tells_the_symbol_and_never_makes_a_file(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    inner = "../../up/BTCUSDT-aggTrades-2024-08-09.csv"
    feed = open_recordings([write(folder, "download", AGG, agg(0, 1), pack=inner)])
    assert feed.symbols == ("BTCUSDT",)
    assert [event.trade_id for event in feed] == [1]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["download", "in"]


def test_symbols_that_nobody_knows_need_venue_rules(tmp_path):
    path = write(tmp_path, "SOLUSDT-aggTrades-2024-08-09.csv", AGG, agg(0, 1))
    with pytest.raises(ConfigError, match="venue rules of SOLUSDT are unknown"):
        open_recordings([path])


BAD = {
    "line_format": ["", "1,2", agg(9, 3) + ",x,y", "\xff" + agg(9, 3)],
    "invalid": [agg(9, "x"), agg(9, 3, maker="maybe"), agg(9, 3).replace(str(T0 + 9), "-5"), agg(9, 10**20)],
    "number": [agg(9, 3, price=price) for price in ("", "NaN", "-1", "1e999", "0x1", "1.2.3", "1" * 40)],
    "sequence": [agg(9, 2), agg(9, 1)],
    "local_time": [agg(4, 3), agg(2 * 86_400_000, 3)],
}


@pytest.mark.parametrize("kind", BAD)
def test_every_kind_of_bad_row_is_named_with_its_line_or_left_out_and_counted(tmp_path, kind):
    for bad in BAD[kind]:
        path = tmp_path / "BTCUSDT-aggTrades-2024-08-09.csv"
        path.write_bytes("\n".join([AGG, agg(0, 1), agg(5, 2), bad or ",", agg(20, 9)]).encode("latin1"))
        with pytest.raises(InputError, match="or run with --tolerant") as caught:
            list(open_recordings([path]))
        assert (caught.value.line, caught.value.path) == (4, str(path)), bad
        feed = open_recordings([path], tolerant=True)
        assert [event.trade_id for event in feed] == [1, 2, 9], bad
        assert feed.skipped == {kind: 1}, bad


def test_a_file_of_a_header_alone_has_no_market_data(tmp_path):
    with pytest.raises(InputError, match="no market data"):
        open_recordings([write(tmp_path, "BTCUSDT-aggTrades-2024-08-09.csv", AGG)])


# Zips.

STEM = "BTCUSDT-aggTrades-2024-08-09"


def zipped_rows(count=2_000):
    return [AGG, *(agg(n, n + 1) for n in range(count))]


@pytest.mark.parametrize("members", [[f"{STEM}.csv", "notes.txt"], [f"{STEM}.csv", f"{STEM}.csv"], ["folder/"]])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_must_hold_exactly_one_file(tmp_path, members):
    path = tmp_path / f"{STEM}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, "\n".join(zipped_rows(5)))
    with pytest.raises(InputError, match=r"a zip with . entries; it must hold exactly one file"):
        list(open_recordings([path]))


def test_an_empty_zip_is_no_recording(tmp_path):
    path = tmp_path / f"{STEM}.zip"
    zipfile.ZipFile(path, "w").close()
    with pytest.raises(InputError, match="unknown format"):
        open_recordings([path])


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = write(tmp_path, f"{STEM}.zip", "0" * (8 << 20), pack=f"{STEM}.csv")
    assert path.stat().st_size < 20_000
    with pytest.raises(InputError, match=r"unpacks from .* bytes or more; that is no market data"):
        open_recordings([path])
    monkeypatch.setattr(damage, "MAX_SIZE", 1000)
    path = write(tmp_path, f"{STEM}.zip", *zipped_rows(), pack=f"{STEM}.csv")
    with pytest.raises(InputError, match="that is no market data"):
        open_recordings([path])


def test_a_zip_that_lies_about_its_size_yields_no_more_than_it_says(tmp_path):
    path = write(tmp_path, f"{STEM}.zip", *zipped_rows(), pack=f"{STEM}.csv")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match="corrupt"):
        open_recordings([path])


@pytest.mark.parametrize("flags", [1, 0])
def test_encrypted_or_oddly_packed_zips_are_refused(tmp_path, flags):
    path = write(tmp_path, f"{STEM}.zip", *zipped_rows(5), pack=f"{STEM}.csv")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= flags
    data[at + 10] = 8 if flags else 99
    path.write_bytes(data)
    with pytest.raises(InputError, match="encrypted, or neither stored nor deflated"):
        open_recordings([path])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_cut_zip_is_named(tmp_path, share):
    path = write(tmp_path, f"{STEM}.zip", *zipped_rows(), pack=f"{STEM}.csv")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"truncated after line 0.*fetch it again"):
        open_recordings([path])


def test_a_spoilt_zip_yields_what_is_whole_when_tolerant(tmp_path):
    path = write(tmp_path, f"{STEM}.zip", *zipped_rows(200_000), pack=f"{STEM}.csv")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match="corrupt after line"):
        open_recordings([path])
    feed = open_recordings([path], tolerant=True)
    assert sum(1 for _ in feed) > 1_000
    assert feed.skipped["corrupt"] == 1
    assert Path(feed.inputs[0].path) == path
