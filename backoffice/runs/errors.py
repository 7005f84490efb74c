"""What can go wrong with runs; each message says what to do next."""


class NothingToResume(Exception):
    """The run is unknown or has finished."""

    def __init__(self, run_id: int) -> None:
        super().__init__(
            f"Run {run_id} is unknown or has finished. Start a new one: backoffice figures heal."
        )
