"""Nothing that a page refuses with is English for who reads Russian: codes, validators, and what WTForms says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict
from wtforms import DateField, Form, IntegerField, SelectField

from portal.core.errors import Conflict, DomainError, NotFound, ValidationFailed
from portal.core.permissions import MissingPermission, Permission
from portal.web.labels.refusals import WORDS, words_of_error
from portal.web.ui.forms import PageForm

ROOT = Path(__file__).parents[2] / "portal"
VALIDATORS = {"Length": 3, "NumberRange": 3, "InputRequired": 1, "DataRequired": 1, "Regexp": 3, "AnyOf": 2}
# Each is answered by the words of its status, or leads somewhere instead of being shown.
GENERAL = {
    "bad_request", "conflict", "forbidden", "not_found", "payload_too_large", "rate_limited", "refused",
    "unauthorized", "unavailable", "unsupported_media_type", "validation_failed", "not_signed_in",
    "missing_permission", "not_of_this_list",
}  # fmt: skip


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """What can refuse on a page: all but the API's own door and the console."""
    for path in ROOT.rglob("*.py"):
        if not path.is_relative_to(ROOT / "api") and not path.is_relative_to(ROOT / "cli"):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def codes() -> Iterator[tuple[str, str]]:
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                for word in node.exc.keywords:
                    if word.arg == "code" and isinstance(word.value, ast.Constant):
                        yield str(word.value.value), path.name
            elif isinstance(node, ast.ClassDef):
                yield from ((code, path.name) for code in codes_of_class(node))


def codes_of_class(node: ast.ClassDef) -> Iterator[str]:
    """`code = ...` or `code, title = ...` of a kind of refusal."""
    if not any("Form" not in ast.unparse(base) for base in node.bases):
        return
    for line in node.body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]).strip("()").split(",")[0] == "code":
            value = line.value.elts[0] if isinstance(line.value, ast.Tuple) else line.value
            if isinstance(value, ast.Constant):
                yield str(value.value)


def test_every_code_that_can_reach_a_page_has_a_sentence() -> None:
    bare = sorted({found for found in codes() if found[0] not in WORDS.keys() | GENERAL})
    assert bare == []


def test_no_validator_leaves_its_words_to_the_library() -> None:
    bare = []
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in VALIDATORS:
                named = any(word.arg == "message" for word in node.keywords)
                if not named and len(node.args) < VALIDATORS[node.func.id]:
                    bare.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    assert bare == []


def test_every_form_of_a_page_is_a_page_form(app: Flask) -> None:
    def below(kind: type[Form]) -> Iterator[type[Form]]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    strangers = [
        kind
        for kind in below(Form)
        if kind.__module__.startswith("portal.") and not issubclass(kind, PageForm)
    ]
    assert strangers == []


class Everything(PageForm):
    day = DateField()
    count = IntegerField()
    choice = SelectField(choices=[("a", "A")])


def test_what_a_field_says_by_itself_is_said_in_russian(app: Flask) -> None:
    with app.app_context(), app.test_request_context(headers={"Accept-Language": "ru"}):
        form = Everything(MultiDict({"day": "someday", "count": "many", "choice": "b"}))
        assert not form.validate()
        for name, problems in form.errors.items():
            assert all("а" <= letter.lower() <= "я" for letter in problems[0] if letter.isalpha()), (
                name,
                problems,
            )


@pytest.mark.parametrize(
    "error",
    [
        Conflict("Some words that nobody has translated."),
        Conflict("Anything", code="order_changed"),
        NotFound("There is no such poem."),
        ValidationFailed.of("file", "encrypted_pdf", "This PDF is protected."),
        DomainError("Refused for a reason", code="a_code_of_tomorrow"),
    ],
)
def test_a_refusal_is_never_english_for_who_reads_russian(app: Flask, error: DomainError) -> None:
    with app.app_context(), app.test_request_context(headers={"Accept-Language": "ru"}):
        words = words_of_error(error).replace("PDF", "")
        assert words
        assert not any("a" <= letter.lower() <= "z" for letter in words), words
    with app.app_context(), app.test_request_context(headers={"Accept-Language": "en"}):
        assert all(letter < "\u0400" for letter in words_of_error(error))


def test_a_missing_permission_is_named_in_the_readers_language(app: Flask) -> None:
    with app.app_context(), app.test_request_context(headers={"Accept-Language": "ru"}):
        words = words_of_error(MissingPermission(Permission.AUDIT_VIEW))
    assert "audit:view" in words
    assert any("а" <= letter <= "я" for letter in words)
