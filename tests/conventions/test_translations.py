"""The Russian catalogue is whole: every string of the source is in it, translated, and compiled."""

from __future__ import annotations

import ast
import io
import re
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from portal.api.v1.orders_answers import OrderOut
from portal.api.v1.orders_schemas import CreateOrder
from portal.mail.languages import LANGUAGES
from portal.web.labels.languages import LANGUAGE

HOUSE = Path(__file__).resolve().parents[2]
CATALOGUES = HOUSE / "portal" / "translations"
RUSSIAN = CATALOGUES / "ru" / "LC_MESSAGES"
KEYWORDS = {
    "_": None,
    "_l": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
}
LETTERS = re.compile(r"[А-Яа-яЁё]")
# Words that are the same in both languages.
SAME = {"PDF %(number)d"}


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


@pytest.fixture(scope="module")
def russian() -> Catalog:
    return read_po(io.BytesIO((RUSSIAN / "messages.po").read_bytes()), locale="ru")


@pytest.fixture(scope="module")
def in_source() -> set[str]:
    mapping, options = parse_mapping_cfg(io.StringIO((CATALOGUES / "babel.cfg").read_text()))
    found: set[str] = set()
    for folder in ("portal", "templates"):
        inside = [
            (pattern.removeprefix(f"{folder}/"), how)
            for pattern, how in mapping
            if pattern.startswith(folder)
        ]
        options_inside = {pattern.removeprefix(f"{folder}/"): value for pattern, value in options.items()}
        for _file, _line, words, _comments, _context in extract_from_dir(
            HOUSE / folder, inside, options_inside, keywords=KEYWORDS
        ):
            found.add(words if isinstance(words, str) else words[0])
    return found


def test_every_string_of_the_source_is_in_the_catalogue_and_no_other(
    russian: Catalog, in_source: set[str]
) -> None:
    listed = {_key(message) for message in russian if message.id}
    assert len(in_source) > 300
    assert sorted(in_source - listed) == [], "run `make translations`, then translate what is new"
    assert sorted(listed - in_source) == [], "run `make translations`: these are used no more"


def test_no_string_is_untranslated_or_fuzzy(russian: Catalog) -> None:
    for message in russian:
        if not message.id:
            continue
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(forms), f"not translated: {_key(message)}"
        assert not message.fuzzy, f"fuzzy: {_key(message)}"
        assert _key(message) in SAME or all(LETTERS.search(form) for form in forms), (
            f"not Russian: {_key(message)}"
        )


def test_placeholders_are_those_of_the_english_text(russian: Catalog) -> None:
    assert [(str(error), _key(message)) for message, errors in russian.check() for error in errors] == []


def test_counted_words_have_three_forms(russian: Catalog) -> None:
    counted = [message for message in russian if message.id and message.pluralizable]
    assert counted
    assert russian.num_plurals == 3
    assert all(len(set(message.string)) == 3 for message in counted)


def test_what_the_pages_load_is_compiled_from_what_is_written(russian: Catalog) -> None:
    with (RUSSIAN / "messages.mo").open("rb") as stream:
        compiled = read_mo(stream)
    written = {_key(message): tuple(message.string) for message in russian if message.id}
    assert {_key(message): tuple(message.string) for message in compiled if message.id} == written


def test_no_words_stand_inside_an_f_string() -> None:
    """Who collects the words does not look into one: the sentence would stay English without anybody noticing."""
    found = [
        f"{path.relative_to(HOUSE)}:{call.lineno}"
        for path in sorted((HOUSE / "portal").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in KEYWORDS
    ]
    assert found == []


def test_every_language_has_its_name_its_catalogue_and_its_place_in_the_api() -> None:
    assert tuple(LANGUAGE) == LANGUAGES
    assert {"en", *(path.parents[1].name for path in CATALOGUES.rglob("messages.po"))} == set(LANGUAGES)
    for body in (CreateOrder, OrderOut):
        (asked, _none) = get_args(body.model_fields["locale"].annotation)
        assert set(get_args(asked)) == set(LANGUAGES)
