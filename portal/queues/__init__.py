"""The queues as operators see them: what waits, who works, what was given up; stopping them and trying again."""
