"""What can go wrong with figures; each message says what to do next."""


class FigureError(Exception):
    """Base of the core's errors."""


class DeclarationError(FigureError):
    """A figure is declared in a way that the core cannot keep."""


class CycleError(DeclarationError):
    """Figures build on each other in a circle, so that none of them has a definition."""


class UnknownFigure(FigureError):
    """No figure of that name is declared."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"There is no figure “{name}”. Known figures: {', '.join(known)}.")


class WrongIsolation(FigureError):
    """A transaction that sees only an old snapshot has written what figures are derived from."""

    def __init__(self, isolation: str) -> None:
        super().__init__(
            f"Figures cannot be kept in a {isolation.upper()} transaction, which does not see what "
            f"others have saved since it began. Write in READ COMMITTED."
        )
