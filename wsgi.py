"""The WSGI entry point."""

from portal import create_app
from portal.settings import exit_if_malformed

exit_if_malformed()
app = create_app()
