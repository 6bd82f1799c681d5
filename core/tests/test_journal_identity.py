"""Client order ids: their form, that they depend on nothing but instance and intent, and which are ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.journal.identity import (
    ReadableId,
    client_order_id,
    instance_tag,
    is_ours,
    is_tag,
    parse_readable,
    random_tag,
)

VENUE_PATTERN = re.compile(r"[a-z0-9_]{1,36}")
FORM = re.compile(r"grinder_[a-z2-7]{6}_[a-z2-7]{20}")


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(), intent_id=st.text(max_size=200))
def test_every_id_fits_every_venue(seed, intent_id):
    client_id = client_order_id(instance_tag(seed), intent_id)
    assert len(client_id) == 35
    assert FORM.fullmatch(client_id)
    assert VENUE_PATTERN.fullmatch(client_id)
    assert is_ours(client_id)


def test_ids_are_the_same_on_any_machine():
    # Computed once with sha256sum and base32.
    assert instance_tag(42) == "ijju2x"
    assert client_order_id("abcdef", "1-000001") == "grinder_abcdef_okrinq3op6qxwjrfsu3q"


def test_ids_do_not_depend_on_the_hash_seed_of_the_process():
    code = (
        "from grinder.journal.identity import client_order_id as c, instance_tag as t; print(t(7), c(t(7), 'intent-1'))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert answers == {f"{instance_tag(7)} {client_order_id(instance_tag(7), 'intent-1')}\n"}


def test_instances_and_intents_do_not_share_ids():
    ids = {client_order_id(instance_tag(seed), f"i{n}") for seed in range(50) for n in range(200)}
    assert len(ids) == 50 * 200


def test_random_tags_have_the_form_and_differ():
    tags = {random_tag() for _ in range(100)}
    assert len(tags) == 100
    assert all(map(is_tag, tags))
    assert not any(map(is_tag, ("", "abcde", "abcdefg", "ABCDEF", "abcde1", "abcde\n")))


def test_ours_by_instance():
    mine, other = instance_tag(1), instance_tag(2)
    client_id = client_order_id(mine, "i1")
    assert is_ours(client_id)
    assert is_ours(client_id, mine)
    assert not is_ours(client_id, other)


def test_readable_ids_are_ours_and_tell_their_parts():
    assert parse_readable("grinder_d_BTCUSDT_1_1704067200_1") == ReadableId("d", "BTCUSDT", "1", 1704067200, 1)
    assert parse_readable("grinder_tp_ETHUSDT_c_1704067200_12").level == "c"
    assert is_ours("grinder_d_BTCUSDT_1_1704067200_1")
    assert is_ours("grinder_d_BTCUSDT_1_1704067200_1", instance_tag(1))


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        "grinder_",
        "web_AbC123",
        "x-cvBPrNm9_d_BTCUSDT_1_1704067200_1",
        "grinder_BTCUSDT_1_1704067200_1",
        "grinder_d_btcusdt_1_1704067200_1",
        "grinder_d_BTCUSDT_x_1704067200_1",
        "grinder_d_BTCUSDT_1_170406720a_1",
        "grinder_d_BTCUSDT_1_1704067200_1_2",
        "grinder_d_BTCUSDT_1_1704067200_1\n",
        "grinder_d_BTCUSDT_1_1704067200_¹",
        "grinder_d_1000000000000PEPEUSDT_1_1704067200_1",
        "grinder_abcdef_abcdefghijklmnopqrs",
        "grinder_abcdef_abcdefghijklmnopqrst5x",
        "grinder_abcde1_abcdefghijklmnopqrst",
        "GRINDER_abcdef_abcdefghijklmnopqrst",
    ],
)
def test_what_is_not_ours(client_id):
    assert not is_ours(client_id)
