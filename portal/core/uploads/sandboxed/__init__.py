"""What runs beside Nostro, in a process of its own, to read one file of a stranger.

It imports nothing of the house, only its own modules, by relative names: the process that runs it knows no more.
"""
