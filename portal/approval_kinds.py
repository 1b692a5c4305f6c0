"""Registers every kind of what takes two people, before a request or a duty asks for one.

Each stands with the package whose thing it is; web, workers and console get them all with the application.
"""


def load() -> None:
    from portal.approvals.access import ACCESS
    from portal.approvals.kinds import register
    from portal.disputes.above_tolerance import DISPUTE_COMPLETION
    from portal.orders.above_tolerance import COMPLETION

    for kind in (ACCESS, COMPLETION, DISPUTE_COMPLETION):
        register(kind)
