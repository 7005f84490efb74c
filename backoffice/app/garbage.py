"""How often a process that serves for long looks for garbage."""

import gc


def seek_seldom() -> None:
    """Set aside what was read at the start, for it stays for ever, and look for garbage beside it less often.

    A request leaves few circles behind, and a look over everything that is alive costs as much as one. To be called
    in each process of its own, after it was forked.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
