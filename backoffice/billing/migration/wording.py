"""The migration in words: how its steps stand, and what their reports say."""

from ...base import N_
from .lines import word_of
from .step_status import BROKEN, DIFFERS, FINISHED, LEFT_OVER, NEVER, RUNNING

STATES = {
    NEVER: (N_("Not done yet"), "neutral"),
    RUNNING: (N_("Under way"), "info"),
    BROKEN: (N_("Failed"), "bad"),
    DIFFERS: (N_("Differs"), "bad"),
    LEFT_OVER: (N_("Done, rows are left"), "warning"),
    FINISHED: (N_("Done"), "good"),
}
"""State of a step → its word and tone."""

__all__ = ["STATES", "word_of"]
