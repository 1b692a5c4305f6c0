"""A browser without scripts: pages, their forms, cookies. What it can do, a person without JavaScript can."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx


@dataclass(slots=True)
class Form:
    """A form as it stands in the page; `choices` are the values of its select fields and buttons."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    url: str
    status: int
    text: str
    forms: tuple[Form, ...]
    links: tuple[str, ...]

    def form_to(self, ending: str) -> Form | None:
        """The first form whose action ends so."""
        return next((form for form in self.forms if form.action.endswith(ending)), None)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._form: Form | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        elif tag == "form":
            self._form = Form(values.get("action", ""), values.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None:
            self._field(tag, values)

    def _field(self, tag: str, values: dict[str, str]) -> None:
        assert self._form is not None
        name = values.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select and values.get("value"):
            self._form.choices.setdefault(self._select, []).append(values["value"])
        elif tag == "button" and name:
            self._form.choices.setdefault(name, []).append(values.get("value", ""))
        elif tag in {"input", "textarea"} and name and values.get("type") != "file":
            self._form.fields[name] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None


class Refused(Exception):
    """The server answered something else than was hoped for; `kind` is for counting."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


Timed = Callable[[str, float], None]


class Browser:
    """One person's browser. Not safe for several threads at once."""

    def __init__(self, base_url: str, timed: Timed) -> None:
        self._client = httpx.Client(
            base_url=base_url, follow_redirects=True, timeout=20, headers={"Accept-Language": "en"}
        )
        self._timed = timed

    def open(self, url: str, step: str) -> Page:
        return self._go("GET", url, step)

    def submit(
        self,
        page: Page,
        form: Form,
        step: str,
        values: dict[str, str] | None = None,
        files: dict[str, tuple[str, bytes, str]] | None = None,
    ) -> Page:
        """Send a form with what is in it, changed by `values`. Raises Refused for a 4xx or 5xx."""
        return self._go(
            form.method.upper(),
            urljoin(page.url, form.action),
            step,
            data=form.fields | (values or {}),
            files=files,
        )

    def _go(self, method: str, url: str, step: str, **sent: object) -> Page:
        started = time.monotonic()
        try:
            answer = self._client.request(method, url, **sent)  # type: ignore[arg-type]
        except httpx.TransportError as error:
            raise Refused(f"{step}: {type(error).__name__}") from None
        self._timed(step, time.monotonic() - started)
        if answer.status_code >= 400:
            raise Refused(f"{step}: {answer.status_code}")
        reader = _Reader()
        reader.feed(answer.text)
        return Page(
            str(answer.url), answer.status_code, answer.text, tuple(reader.forms), tuple(reader.links)
        )

    def close(self) -> None:
        self._client.close()


def path_of(url: str) -> str:
    return urlsplit(url).path
