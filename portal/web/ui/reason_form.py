"""The one question before something is done with power: why."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.web.ui.forms import PageForm


class ReasonForm(PageForm):
    """Why; kept in the timeline and the audit log."""

    reason = StringField(
        _l("Reason"),
        validators=[
            InputRequired(_l("Say why.")),
            Length(min=3, message=_l("Say why in a few words.")),
            Length(max=500, message=_l("This is too long.")),
        ],
    )
