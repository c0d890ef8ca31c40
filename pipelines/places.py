"""Where things are: the home, the configuration, Dagster's own folder. Imports nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path

DAGSTER_YAML = """\
# written by aftersale when it was missing; yours to edit
telemetry: {enabled: false}
nux: {enabled: false}
"""


def home_folder() -> Path:
    """Where everything is kept: `AFTERSALE_HOME`, else ./warehouse."""
    return Path(os.environ.get("AFTERSALE_HOME") or "warehouse").absolute()


def find_config(explicit: Path | None, home: Path) -> Path | None:
    """The first configuration there is: explicit, `AFTERSALE_CONFIG`, ./aftersale.yaml, the home's demo; else None."""
    named = explicit or os.environ.get("AFTERSALE_CONFIG")
    if named:
        return Path(named).absolute()
    found = (Path("aftersale.yaml"), home / "source" / "aftersale.yaml")
    return next((path.absolute() for path in found if path.is_file()), None)


def prepare_dagster_home(home: Path) -> Path:
    """Dagster's folder: `DAGSTER_HOME`, else inside the home; made, with telemetry and pop-up off, where it is missing."""
    folder = Path(os.environ.get("DAGSTER_HOME") or home / "dagster").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        settings.write_text(DAGSTER_YAML)
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder
