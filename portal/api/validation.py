"""One schema for each body and query. What it does not name is refused, and nothing is converted silently."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from portal.core.errors import FieldProblem, ValidationFailed
from portal.core.text_rules import is_blank, is_clean

M = TypeVar("M", bound=BaseModel)
# May be any characters: nobody is shown one.
_PASSWORDS = frozenset({"password"})


class _Sent(BaseModel):
    """What a program sends: no text of it hides anything (portal.core.text_rules)."""

    # Fields whose texts may have line breaks and tabs.
    LINES: ClassVar[frozenset[str]] = frozenset()

    @field_validator("*")
    @classmethod
    def _is_text(cls, value: Any, info: ValidationInfo) -> Any:
        _check_text(cls, info.field_name or "", value)
        return value


class Body(_Sent):
    """A JSON body: known fields only, exact types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class Query(_Sent):
    """A query string: known parameters only; texts are read as what the field is."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Answer(BaseModel):
    """An answer as the OpenAPI document describes it (tests hold real answers against it)."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


# pydantic's kind of error -> the contract's code and sentence.
_CODES: dict[str, tuple[str, str]] = {
    "missing": ("required", "This field is required."),
    "extra_forbidden": ("unknown_field", "There is no such field."),
    "string_type": ("not_a_string", "Give a string."),
    "string_too_long": ("too_long", "This is too long."),
    "string_too_short": ("too_short", "This is too short."),
    "string_pattern_mismatch": ("malformed", "This is not written as expected."),
    "literal_error": ("not_allowed", "This value is not one of the possible ones."),
    "enum": ("not_allowed", "This value is not one of the possible ones."),
    "model_type": ("not_an_object", "Give an object."),
    "dict_type": ("not_an_object", "Give an object."),
    "list_type": ("not_a_list", "Give a list."),
    "int_type": ("not_an_integer", "Give a whole number."),
    "int_parsing": ("not_an_integer", "Give a whole number."),
    "int_parsing_size": ("out_of_range", "This number is out of range."),
    "greater_than_equal": ("out_of_range", "This number is too small."),
    "less_than_equal": ("out_of_range", "This number is too large."),
    "too_long": ("too_many", "There are too many of these."),
}


def validated(model: type[M], value: object) -> M:
    """The value as this model. Raises ValidationFailed (422) with every problem, by field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors(include_url=False, include_input=False)]
        raise ValidationFailed("Some fields are not valid.", errors=problems) from None


def validated_query(model: type[M], args: Mapping[str, str]) -> M:
    return validated(model, dict(args))


def _problem(detail: ErrorDetails) -> FieldProblem:
    where = ".".join(str(part)[:64] for part in detail["loc"])
    known = _CODES.get(detail["type"])
    if known is not None:
        return FieldProblem(where, *known)
    if detail["type"] in _OWN_CODES:
        return FieldProblem(where, detail["type"], detail["msg"])
    return FieldProblem(where, "invalid", "This value is not valid.")


_OWN_CODES = frozenset(
    {"invalid_character", "malformed", "too_many", "too_large", "not_allowed", "too_short"}
)


def refused(code: str, message: str) -> PydanticCustomError:
    """An error with a code of the contract, for validators."""
    assert code in _OWN_CODES, code
    return PydanticCustomError(code, message)


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _check_text(model: type[BaseModel], name: str, value: object) -> None:
    """The rule of every text of a body or query: a field says by LINES that it may have several lines."""
    if isinstance(value, str):
        lines = name in getattr(model, "LINES", ())
        if name not in _PASSWORDS and not is_clean(value, lines=lines):
            raise refused("invalid_character", "This holds a character that can't be seen.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(model, f"{name}.key", key)
            _check_text(model, name, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_text(model, name, inner)


# Kept as people wrote it, in the composed form. That nothing hides in it is checked for every field.
OneLine = Annotated[str, AfterValidator(_normal)]


def _something(text: str) -> str:
    if is_blank(text):
        raise refused("too_short", "This is too short.")
    return text


# What names something: blanks alone name nothing.
Filled = Annotated[OneLine, AfterValidator(_something), Field(json_schema_extra={"pattern": r"\S"})]


def needed_when(field: str, value: str, *needed: str, is_default: bool = False) -> dict[str, Any]:
    """For a schema: with this value of a field those others are given and not empty. `is_default`: without it too."""
    given: dict[str, Any] = {"properties": {field: {"const": value}}}
    return {
        "if": given if is_default else given | {"required": [field]},
        "then": {
            "required": list(needed),
            "properties": {name: {"type": "string", "minLength": 1} for name in needed},
        },
    }


_CURRENCY = r"^[A-Z]{3,5}$"
_CODE = r"^[a-z0-9_]{1,32}$"
Currency = Annotated[str, Field(pattern=_CURRENCY, examples=["RUB"])]
Code = Annotated[str, Field(pattern=_CODE)]
Amount = Annotated[
    str,
    Field(
        max_length=40,
        description="A decimal string with at most the decimals of the currency. Never a number.",
        examples=["1500.00"],
        json_schema_extra={"format": "decimal"},
    ),
]
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
