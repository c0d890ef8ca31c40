"""When runs start by themselves: daily and after the month's close, in the company's zone, off until switched on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from pipelines.jobs import CLOSE, DAILY
from pipelines.sources.config import Configuration
from pipelines.timetable import CLOSE_CRON, DEFAULT_DAILY


def build_schedules(
    jobs: Mapping[str, Any], configuration: Configuration | None
) -> list[dg.ScheduleDefinition]:
    """Both schedules. Without a configuration they are there, in UTC."""
    zone = configuration.company.timezone if configuration else "UTC"
    at = (configuration.schedule.daily if configuration else None) or DEFAULT_DAILY
    hour, minute = at.split(":")
    crons = {DAILY: f"{int(minute)} {int(hour)} * * *", CLOSE: CLOSE_CRON}
    return [
        dg.ScheduleDefinition(
            name=f"{name}_schedule",
            job=jobs[name],
            cron_schedule=cron,
            execution_timezone=zone,
            default_status=dg.DefaultScheduleStatus.STOPPED,
        )
        for name, cron in crons.items()
    ]
