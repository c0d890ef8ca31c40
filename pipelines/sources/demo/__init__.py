"""The demo company: made-up source files with planted truths, to measure the pipeline against."""

from pipelines.sources.demo.company import LAST_DAY, simulate
from pipelines.sources.demo.planted import Effect, Format, Truth
from pipelines.sources.demo.writing import ForeignFilesError

__all__ = ["LAST_DAY", "Effect", "ForeignFilesError", "Format", "Truth", "simulate"]
