"""The refusals of uploads."""

from ..base import N_
from ..base.refusals import Refusal


class NoFile(Refusal):
    """No file was sent."""

    sentence = N_("Choose a file.")


class EmptyFile(Refusal):
    """A file is empty."""

    sentence = N_("%(name)s is empty.")


class NotText(Refusal):
    """A file is neither text nor a readable workbook."""

    sentence = N_(
        "%(name)s is neither a text file nor an Excel workbook (.xlsx). "
        "Save it as “CSV UTF-8” in the spreadsheet program."
    )


class CellFarBelow(Refusal):
    """A workbook has a cell far below all others."""

    sentence = N_(
        "%(name)s: cell %(cell)s is far below all other cells. Delete its row in the spreadsheet, and save the file."
    )


class TooMuch(Refusal):
    """The files are too large to be imported within a request."""

    sentence = N_(
        "In the browser at most %(megabytes)s MB and %(lines)s lines can be imported at a time. "
        "On the command line there is no limit: backoffice import %(kind)s FILE"
    )


class TooManyFiles(Refusal):
    """More files were sent than the limit."""

    sentence = N_("At most %(count)s files can be imported together.")


class BeingImported(Refusal):
    """Another request is checking or importing the upload."""

    sentence = N_(
        "These files are being checked or imported right now. Wait a moment, then try again."
    )
    status = 409


class AppliedAlready(Refusal):
    """The upload has been imported."""

    sentence = N_("These files are imported already.")
    status = 409


class RowChanged(Refusal):
    """A row that a line changes or names has changed since the dry run."""

    sentence = N_(
        "Nothing was imported: %(record)s %(name)s (%(file)s, line %(line)s) was changed after the dry run. "
        "Check the new dry run, then import."
    )


class RowRemoved(Refusal):
    """A row that a line changes or names no longer exists."""

    sentence = N_(
        "Nothing was imported: %(record)s %(name)s (%(file)s, line %(line)s) was removed after the dry run. "
        "Check the new dry run, then import."
    )


class RowCreated(Refusal):
    """A row that a line would create exists already."""

    sentence = N_(
        "Nothing was imported: %(record)s %(name)s (%(file)s, line %(line)s) was created after the dry run. "
        "Check the new dry run, then import."
    )


class LineRefused(Refusal):
    """A line that the dry run took is refused."""

    sentence = N_(
        "Nothing was imported: line %(line)s of %(file)s could be imported in the dry run, but not any more. "
        "The new dry run shows why."
    )


class SavedAtOnce(Refusal):
    """Another user has saved one of the rows while the import was writing them."""

    sentence = N_(
        "Nothing was imported: another user saved one of these rows at the same moment. "
        "Check the new dry run, then import."
    )


class CheckedAnew(Refusal):
    """Another dry run has replaced the reviewed one."""

    sentence = N_("There is a newer dry run of these files. Check it, then import.")
    status = 409


class NeedsDryRun(Refusal):
    """An earlier version of the program has made the dry run."""

    sentence = N_(
        "An earlier version of the program made this dry run. Make a new one before you import the files."
    )
    status = 409


class NoLongerStored(Refusal):
    """The bytes were removed by housekeeping, or do not match their digest."""

    sentence = N_("These files are no longer stored as they were sent. Upload them again.")
    status = 410


class BadLines(Refusal):
    """There are bad lines, and importing only the good ones was not requested or is not possible."""

    sentence = N_("There are bad lines. Correct them, or import the good ones only.")


class NotByLine(Refusal):
    """The upload was not processed line by line, so its lines have no outcomes."""

    sentence = N_("These files were not carried out line by line.")
    status = 404
