"""Whether a secret could have been drawn at random. No proof that it was: a guard against `aaaa...` and `changeme`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from math import log2

MIN_LENGTH = 32
# 32 hexadecimal digits drawn at random have about 110 bits by this measure, words repeated to that length fewer.
_MIN_BITS = 90


def weakness_of(secret: str) -> str | None:
    """Why nobody should trust this secret, as the end of "it must ..."; None when nothing speaks against it."""
    if len(secret) < MIN_LENGTH:
        return f"have {MIN_LENGTH} characters or more"
    counts = Counter(secret).values()
    bits = -sum(count * log2(count / len(secret)) for count in counts)
    is_repeated = secret in (secret + secret)[1:-1]
    steps = sum(abs(ord(one) - ord(next_)) <= 1 for one, next_ in pairwise(secret))
    if bits < _MIN_BITS or is_repeated or steps > len(secret) // 2:
        return "be drawn at random"
    return None


def refuse_weak(secrets: Sequence[tuple[str, str]], hint: str) -> None:
    """Each (name, secret) is hard to guess and serves one purpose. Raises ValueError with a sentence, `hint` at its end."""
    for name, secret in secrets:
        weakness = weakness_of(secret)
        if weakness is not None:
            raise ValueError(f"{name} must be a secret of your own in production: it must {weakness}{hint}")
    for (name, secret), (other, same) in combinations(secrets, 2):
        if secret == same:
            raise ValueError(f"{name} and {other} must not be the same secret")
