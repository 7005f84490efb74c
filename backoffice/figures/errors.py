"""Errors of figures; each message states what to do next."""

from collections.abc import Iterable


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
    """A transaction at an isolation level above READ COMMITTED wrote sources of figures from an old snapshot."""

    def __init__(self, isolation: str) -> None:
        super().__init__(
            f"Figures cannot be kept in a {isolation.upper()} transaction, which does not see what "
            f"others have saved since it began. Write in READ COMMITTED."
        )


class AnotherDefinition(FigureError):
    """The database keeps these figures by another definition than this process's."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(names)
        super().__init__(
            f"The database keeps {', '.join(self.names)} by another definition than this version of Backoffice "
            "does, so they are neither verified nor healed here. Use the version that upgraded the database, or "
            "bring it to this one with: backoffice db upgrade"
        )
