"""Names on their way out."""

from __future__ import annotations

import sys
import types

import pytest

from tamannot._deprecated import deprecated_argument, deprecated_names
from tamannot.errors import ParameterError, TamannotDeprecationWarning


@pytest.fixture
def module(monkeypatch):
    made = types.ModuleType("some.module")
    made.new = object()
    made.__getattr__ = deprecated_names("some.module", {"old": ("new", "0.4")})
    monkeypatch.setitem(sys.modules, "some.module", made)
    return made


@deprecated_argument("old", new="new", removed_in="0.4")
def double(x, *, new=0):
    return 2 * x + new


def test_an_old_name_is_the_new_one_and_says_so_where_it_is_used(module):
    with pytest.warns(TamannotDeprecationWarning, match=r"some.module.old is now some.module.new; .* 0.4") as caught:
        assert module.old is module.new
    assert caught[0].filename == __file__


def test_names_unheard_of_are_no_attributes(module):
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        _ = module.other


def test_an_old_argument_is_passed_on_and_the_caller_is_told():
    with pytest.warns(TamannotDeprecationWarning, match=r"old= of double\(\) is now new=") as caught:
        assert double(2, old=1) == 5
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("error")
def test_the_new_argument_is_silent_and_not_taken_beside_the_old_one():
    assert double(2, new=1) == 5
    with pytest.raises(ParameterError, match="Give new= alone"):
        double(2, new=1, old=1)


def test_people_who_hide_nothing_see_it():
    assert issubclass(TamannotDeprecationWarning, FutureWarning)  # DeprecationWarning is hidden outside of __main__
