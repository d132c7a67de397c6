"""Links in a model's folder: whoever copies it as another user would read for the model what it may not."""

from __future__ import annotations

from pathlib import Path

from tidemill.errors import ExportError


def refuse_links(folder: Path) -> None:
    """See that a folder holds files and folders of its own alone.

    Raises:
        ExportError: something in it is a link, or neither file nor folder.
    """
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ExportError(
                f"{path.relative_to(folder.parent)} is a link or no file, which a model may not hold; put the file itself there"
            )
