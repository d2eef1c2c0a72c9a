"""Bring recorded values to the type and shape that their descriptor declares.

Tiled takes the type of a column from the first rows that it sees, and numpy cuts
decimals off without a word; here a value either is what was declared, or becomes it
without loss, or is refused by name.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triplet_bluesky.errors import StorageError

__all__ = ["cast_value", "check_data_keys", "check_metadata", "dtype_of"]

JSON_DTYPES = {"number": "<f8", "integer": "<i8", "boolean": "|b1", "array": "<f8"}
"""numpy type for a data key that declares none, as event-model's words mean it."""

LARGEST_JSON_INTEGER = 2**53 - 1
"""Tiled cuts integers of metadata off beyond it."""

INT64 = np.iinfo(np.int64)

ARRAY_KINDS = frozenset("biufc")
"""numpy kinds that an array may have: zarr has no settled form for the others."""


def dtype_of(data_key: Mapping[str, Any]) -> np.dtype[Any]:
    """Return the numpy type of a data key that is no string.

    Parameters
    ----------
    data_key
        Of a descriptor.

    Returns
    -------
    numpy.dtype
        ``dtype_numpy`` where it is declared, else what ``dtype`` means.
    """
    return np.dtype(data_key.get("dtype_numpy") or JSON_DTYPES[data_key["dtype"]])


def cast_value(key: str, value: Any, data_key: Mapping[str, Any]) -> Any:
    """Return the value as its data key declares it.

    Parameters
    ----------
    key
        Name of the data key.
    value
        What was recorded.
    data_key
        What was declared.

    Returns
    -------
    float, int, bool, str or numpy.ndarray
        Equal to ``value`` in everything but the type; None of a number becomes NaN.

    Raises
    ------
    StorageError
        It cannot be brought to the declared type and shape without loss.
    """
    match data_key["dtype"]:
        case "array":
            return _array(key, value, data_key)
        case "number":
            return _number(key, value)
        case "integer":
            return _integer(key, value)
        case "boolean":
            return _boolean(key, value)
        case _:
            if not isinstance(value, str):
                raise StorageError(_refusal(key, value, "a string"))
            return str(value)


def check_data_keys(data_keys: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse data keys that Tiled cannot keep apart or cannot read back.

    Parameters
    ----------
    data_keys
        Of a descriptor.

    Raises
    ------
    StorageError
        Two names differ in case alone, a name has a dot or a slash, or an array has a
        shape or a type that cannot be stored.
    """
    seen: dict[str, str] = {}
    for key, data_key in data_keys.items():
        twin = seen.setdefault(key.lower(), key)
        if twin != key:
            msg = (
                f"got the data keys {twin!r} and {key!r}, which differ in case alone; "
                "expected names that stay apart in lower case; rename one"
            )
            raise StorageError(msg)
        if "." in key or "/" in key:
            msg = (
                f"got the data key {key!r}; expected a name without dots and slashes; "
                "rename the signal"
            )
            raise StorageError(msg)
        if data_key["dtype"] == "array" and "external" not in data_key:
            _check_array_key(key, data_key)


def check_metadata(value: Any, where: str) -> None:
    """Refuse metadata that Tiled would change without a word.

    Parameters
    ----------
    value
        A document or a part of one.
    where
        Its name, for the message.

    Raises
    ------
    StorageError
        It holds an infinite number or an integer beyond 2**53 - 1.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_metadata(item, f"{where}.{key}")
    elif isinstance(value, np.ndarray):
        if value.dtype.kind in "iuf":
            _check_number(value[~np.isnan(value)], where)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check_metadata(item, f"{where}[{index}]")
    elif isinstance(value, int | float | np.number) and value == value:  # noqa: PLR0124
        _check_number(np.asarray(value), where)


def _check_number(value: NDArray[Any], where: str) -> None:
    whole = value.dtype.kind in "iuO"
    bad = abs(value) > LARGEST_JSON_INTEGER if whole else np.isinf(value)
    if np.any(bad):
        msg = (
            f"got {where} = {value}, which Tiled would change; expected finite numbers "
            f"and integers up to {LARGEST_JSON_INTEGER}; record it as a string"
        )
        raise StorageError(msg)


def _check_array_key(key: str, data_key: Mapping[str, Any]) -> None:
    shape = data_key["shape"]
    if not shape or any(not isinstance(n, int) or n < 1 for n in shape):
        msg = (
            f"got the array {key!r} with shape {shape}; expected a fixed length of at "
            "least 1 on every axis; pad the array to its full length"
        )
        raise StorageError(msg)
    dtype = dtype_of(data_key)
    if dtype.kind not in ARRAY_KINDS or dtype.fields:
        msg = (
            f"got the array {key!r} of type {dtype}; expected numbers or booleans; "
            "record its parts as separate signals"
        )
        raise StorageError(msg)


def _array(key: str, value: Any, data_key: Mapping[str, Any]) -> NDArray[Any]:
    shape, dtype = tuple(data_key["shape"]), dtype_of(data_key)
    array = np.asarray(value)
    if array.shape != shape:
        expected = f"shape {shape}, as its descriptor declares"
        msg = (
            f"got {key} with shape {array.shape}; expected {expected}; give the signal "
            "its true shape before the run"
        )
        raise StorageError(msg)
    if array.dtype == dtype:
        return array
    cast = _cast_without_loss(array, dtype)
    if cast is None:
        raise StorageError(_refusal(key, array, f"values of type {dtype}"))
    return cast


def _cast_without_loss(
    array: NDArray[Any], dtype: np.dtype[Any]
) -> NDArray[Any] | None:
    """Return the array in the other type, or None where that changes a value."""
    drops_imaginary = array.dtype.kind == "c" and dtype.kind != "c"
    if array.dtype.kind not in ARRAY_KINDS or drops_imaginary:
        return None
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
        real = cast if array.dtype.kind == "c" else np.real(cast)
        back = real.astype(array.dtype)
        # The way back alone does not see integers that have changed their sign.
        signs = bool(((cast < 0) == (array < 0)).all()) if dtype.kind != "c" else True
    return cast if signs and np.array_equal(back, array, equal_nan=True) else None


def _number(key: str, value: Any) -> float:
    if value is None:
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise StorageError(_refusal(key, value, "a number")) from None
    if isinstance(value, str) or (number == number and number != value):  # noqa: PLR0124
        raise StorageError(_refusal(key, value, "a number that a float can hold"))
    return number


def _integer(key: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise StorageError(_refusal(key, value, "an integer")) from None
    if isinstance(value, str) or number != value:
        raise StorageError(_refusal(key, value, "an integer"))
    if not INT64.min <= number <= INT64.max:
        raise StorageError(_refusal(key, value, "an integer of 64 bits"))
    return number


def _boolean(key: str, value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer) and value in {0, 1}:
        return bool(value)
    raise StorageError(_refusal(key, value, "a boolean"))


def _refusal(key: str, value: Any, expected: str) -> str:
    return (
        f"got {key} = {value!r}; expected {expected}, as its descriptor declares; "
        "correct what the signal describes or what it reads"
    )
