"""What an upload is refused for, each with its sentence."""

from ..base import N_
from ..base.refusals import Refusal


class NoFile(Refusal):
    """A form without a file."""

    sentence = N_("Choose a file.")


class EmptyFile(Refusal):
    """A file without a byte."""

    sentence = N_("%(name)s is empty.")


class NotText(Refusal):
    """An old workbook, a broken one, an archive or a picture."""

    sentence = N_(
        "%(name)s is neither a text file nor an Excel workbook (.xlsx). "
        "Save it as “CSV UTF-8” in the spreadsheet program."
    )


class TooMuch(Refusal):
    """More than can be imported while a user waits for it."""

    sentence = N_(
        "In the browser at most %(megabytes)s MB and %(lines)s lines can be imported at a time. "
        "On the command line there is no limit: backoffice import %(kind)s FILE"
    )


class TooManyFiles(Refusal):
    """More files than one looks through."""

    sentence = N_("At most %(count)s files can be imported together.")


class BeingImported(Refusal):
    """Two people, or two clicks, at the same moment."""

    sentence = N_(
        "These files are being checked or imported right now. Wait a moment, then try again."
    )
    status = 409


class AppliedAlready(Refusal):
    """What is in cannot be changed any more by its upload."""

    sentence = N_("These files are imported already.")
    status = 409


class CheckedAnew(Refusal):
    """What was looked at is no longer what would be imported."""

    sentence = N_(
        "The files have been checked anew in the meantime. Look at the result, then import them."
    )
    status = 409


class NoLongerStored(Refusal):
    """The bytes have been removed, which housekeeping does, or tampered with."""

    sentence = N_("These files are no longer stored as they were sent. Upload them again.")
    status = 410


class BadLines(Refusal):
    """All or nothing, and there are bad lines."""

    sentence = N_("There are bad lines. Correct them, or import the good ones only.")


class NotByLine(Refusal):
    """Files that come in together have no line that anything became of by itself."""

    sentence = N_("These files were not carried out line by line.")
    status = 404


class NotRepeated(Refusal):
    """A user has ended it, or it never was."""

    sentence = N_("These files are not carried out every month.")
    status = 409


class NotRepeatable(Refusal):
    """Files whose lines belong together say how things are, once."""

    sentence = N_("Only files whose lines are each carried out by themselves can be repeated.")
