"""Values become what they were declared as, or are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from triplet_bluesky.errors import StorageError
from triplet_bluesky.storage.casting import (
    cast_value,
    check_data_keys,
    check_metadata,
)


def key(dtype, shape=(), **more):
    return {"source": "PV:X", "dtype": dtype, "shape": list(shape), **more}


@pytest.mark.parametrize(
    ("value", "dtype", "cast"),
    [
        (np.int64(3), "number", 3.0),
        (np.float64(3.0), "integer", 3),
        (True, "integer", 1),
        (1, "boolean", True),
        (np.False_, "boolean", False),
        (np.str_("a"), "string", "a"),
    ],
)
def test_value_is_cast_to_the_declared_type(value, dtype, cast):
    result = cast_value("x", value, key(dtype))

    assert result == cast
    assert type(result) is type(cast)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (0.5, "integer"),
        (float("nan"), "integer"),
        (2**63, "integer"),
        ("1", "integer"),
        (2**53 + 1, "number"),
        ("1", "number"),
        ([1.0, 2.0], "number"),
        (2, "boolean"),
        ("on", "boolean"),
        (1, "string"),
        (None, "string"),
        (None, "integer"),
    ],
)
def test_value_that_would_change_is_refused_by_name(value, dtype):
    with pytest.raises(StorageError, match=r"got x = .*; expected a"):
        cast_value("x", value, key(dtype))


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        ([0.5], "<i4"),
        ([np.nan], "<i4"),
        ([-1], "<u8"),
        ([2**16], "<u2"),
        ([2**53 + 1], "<f8"),
        ([0.1], "<f4"),
        ([1j], "<f8"),
        ([2], "|b1"),
        (["a"], "<f8"),
        (np.array([2**63], dtype="<u8"), "<i8"),
    ],
)
def test_array_that_would_change_is_refused(array, dtype):
    with pytest.raises(StorageError, match="values of type"):
        cast_value("x", array, key("array", (1,), dtype_numpy=dtype))


@given(
    hnp.arrays(
        st.sampled_from(["<i2", "<u2", "<i4", "<u4", "<i8", "<f4", "<f8", "|b1"]),
        (2, 3),
    ),
    st.sampled_from(["<i2", "<u2", "<i4", "<u8", "<i8", "<f4", "<f8", "<c16"]),
)
def test_array_is_equal_or_refused(array, dtype):
    declared = key("array", (2, 3), dtype_numpy=dtype)

    try:
        cast = cast_value("x", array, declared)
    except StorageError:
        return

    assert cast.dtype == dtype
    for old, new in zip(array.flat, cast.flat, strict=True):
        assert old.item() == new.item() or (np.isnan(old) and np.isnan(new))


def test_array_of_another_shape_is_refused_with_both_shapes():
    with pytest.raises(StorageError, match=r"\(2,\); expected shape \(3,\)"):
        cast_value("x", [1.0, 2.0], key("array", (3,)))


@pytest.mark.parametrize("shape", [[], [0], [None], [3, 0]])
def test_array_without_a_fixed_length_is_refused(shape):
    with pytest.raises(StorageError, match="fixed length"):
        check_data_keys({"x": key("array", shape)})


@pytest.mark.parametrize("dtype", ["<U5", "|O8", [["a", "<f8"]]])
def test_array_of_no_numbers_is_refused(dtype):
    declared = key("array", (2,), dtype_numpy=dtype)
    if isinstance(dtype, list):
        declared["dtype_numpy"] = [("a", "<f8")]

    with pytest.raises(StorageError, match="numbers or booleans"):
        check_data_keys({"x": declared})


def test_data_keys_that_differ_in_case_alone_are_refused():
    with pytest.raises(StorageError, match="'Power' and 'power'"):
        check_data_keys({"Power": key("number"), "power": key("number")})


@pytest.mark.parametrize("name", ["a.b", "a/b"])
def test_data_keys_with_separators_are_refused(name):
    with pytest.raises(StorageError, match="without dots and slashes"):
        check_data_keys({name: key("number")})


@pytest.mark.parametrize(
    "value",
    [float("inf"), 2**53, np.float64("-inf"), np.array([1.0, np.inf]), [{"a": 2**60}]],
)
def test_metadata_that_tiled_would_change_is_refused(value):
    with pytest.raises(StorageError, match=r"got start\.x.*would change"):
        check_metadata({"x": value}, "start")


@pytest.mark.parametrize(
    "value",
    [float("nan"), 2**53 - 1, 1e300, None, "a", True, np.arange(3), ("a", 1), {"a": 1}],
)
def test_metadata_that_tiled_keeps_is_let_through(value):
    check_metadata({"x": value}, "start")
