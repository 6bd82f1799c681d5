"""The position mode: the program's, unless it does not say; contradictions are refused."""

from __future__ import annotations

import pytest

from grinder import ConfigError, StateError

MODES = ["one_way", "hedge"]


def began(rig):
    return rig.log()[0]["position_mode"], rig.exchange.state.account.hedge


@pytest.mark.parametrize("own", [None, *MODES])
@pytest.mark.parametrize("mode", MODES)
def test_it_is_the_programs(make_rig, mode, own):
    hedge = mode == "hedge"
    if own in {None, mode}:
        assert began(make_rig(hedge=hedge, position_mode=own)) == (mode, hedge)
    else:
        named = rf"exchanges\.paper\.position_mode: {own}, but engine\.position_mode is {mode}; leave it out"
        with pytest.raises(ConfigError, match=named):
            make_rig(hedge=hedge, position_mode=own)


@pytest.mark.parametrize(("own", "mode"), [(None, "one_way"), ("one_way", "one_way"), ("hedge", "hedge")])
def test_where_the_program_does_not_say_it_is_the_settings_own(make_rig, own, mode):
    assert began(make_rig(position_mode=own)) == (mode, mode == "hedge")


def test_a_contradiction_leaves_no_log(make_rig, tmp_path):
    with pytest.raises(ConfigError):
        make_rig(tmp_path, hedge=True, position_mode="one_way")
    assert not list(tmp_path.iterdir())


def test_an_account_of_another_mode_is_not_resumed(make_rig, tmp_path):
    make_rig(tmp_path, hedge=True).exchange.stop()
    with pytest.raises(StateError, match="position mode hedge, settings say one_way"):
        make_rig(tmp_path, hedge=False, resume=True)
    again = make_rig(tmp_path, hedge=True, resume=True)
    assert began(again) == ("hedge", True)
