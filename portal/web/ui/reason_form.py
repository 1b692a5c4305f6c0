"""The one question before something is done with power: why."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, StringField
from wtforms.validators import InputRequired, Length

from portal.core.text_rules import LONGEST_REASON, one_line
from portal.web.ui.forms import PageForm


class ReasonForm(PageForm):
    """Why; kept in the timeline and the audit log."""

    reason = StringField(
        _l("Reason"),
        validators=[
            InputRequired(_l("Say why.")),
            Length(min=3, message=_l("Say why in a few words.")),
            Length(max=LONGEST_REASON, message=_l("This is too long.")),
        ],
        filters=[one_line],
    )

    @property
    def words(self) -> str:
        """The reason, with one space between its words."""
        return self.reason.data or ""

    def given(self) -> dict[str, Any]:
        """What a verb is given of it, by name."""
        return {"reason": self.words}


class SeenForm(ReasonForm):
    """With the mark of what its sender saw: it is done to nothing else."""

    seen = HiddenField()

    def given(self) -> dict[str, Any]:
        return super().given() | {"seen": self.seen.data or ""}
