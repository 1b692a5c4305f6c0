"""The WSGI entry point."""

from portal import create_app
from portal.core.processes.garbage_collection import look_seldom
from portal.core.processes.heartbeat import keep_beating
from portal.settings import exit_if_malformed

exit_if_malformed()
app = create_app()
keep_beating(app)
look_seldom()
