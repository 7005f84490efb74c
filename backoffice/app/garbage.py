"""Garbage collection in long-running processes."""

import gc


def seek_seldom() -> None:
    """Freeze the objects made at start-up, which stay for ever, and collect the others less often.

    A request leaves few reference cycles behind, and a full collection costs as much as a request. Call it
    in each process, after it was forked.
    """
    gc.freeze()
    gc.set_threshold(20_000, 10, 5)
