"""What starts or reports a run from outside: new landing files; a failed run or a blocking check."""

import hashlib
import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from assets.landing import LandingBlockedError, SourceUnreachableError
from pipelines.deliveries import Seen, look, recall
from pipelines.exits import one_line_of
from pipelines.jobs import DAILY
from pipelines.sources.config import Configuration
from pipelines.sources.landing import ConfiguredLanding
from pipelines.sources.opened import INLINE
from pipelines.warehouse.runs import Runs, State

DELIVERED = "aftersale/delivered"  # tag of a run: the files it was started for
MOST_OF_A_TAG = 250
POLL_SECONDS = 60
WEBHOOK_TIMEOUT_SECONDS = 10


def files_of(landing: ConfiguredLanding) -> dict[str, Seen]:
    """Every file of every source as it lies there, and the mapping as one more.

    Databases are asked by the schedules, not every minute.
    """
    configuration = landing.configuration
    names = sorted(configuration.sources)
    mapping = json.dumps([configuration.fingerprint(name) for name in names])
    found = {INLINE: Seen((), hashlib.sha256(mapping.encode()).hexdigest())}
    for name in names:
        if not configuration.sources[name].asks_a_database:
            found |= {file: Seen(*facts) for file, facts in landing.contents(name).items()}
    return found


def send_webhook(url: str, payload: Mapping[str, Any]) -> None:
    """POST JSON to the address the configuration names. Raises OSError when nobody answers."""
    request = urllib.request.Request(  # noqa: S310 (the address is the user's own, http or https checked in the configuration)
        url, data=json.dumps(payload).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    urllib.request.urlopen(request, timeout=WEBHOOK_TIMEOUT_SECONDS).close()  # noqa: S310


def describe_failure(home: Path, run: dg.DagsterRun, said: str) -> dict[str, str]:
    """What the webhook gets: how the run ended in its own words (table, check, count), else in Dagster's. No row, no value."""
    runs = Runs(home)
    record = runs.read(run.run_id)
    return {
        "run": run.run_id,
        "job": run.job_name,
        "state": record.state.value if record else State.FAILED.value,
        "message": one_line_of((runs.why(record) if record else "") or said),
    }


def build_sensors(
    jobs: Mapping[str, Any], home: Path, configuration: Configuration | None
) -> list[dg.SensorDefinition]:
    """Both sensors, off until switched on."""

    @dg.sensor(
        name="landing_changed",
        job=jobs[DAILY],
        minimum_interval_seconds=POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Runs daily_refresh once for each delivery: a file with a new content that lies still for a minute.",
    )
    def landing_changed(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if configuration is None:
            return dg.SkipReason(
                "no configuration: name one with AFTERSALE_CONFIG and reload the code location"
            )
        landing = ConfiguredLanding(configuration, home / "cache")
        try:
            found = look(recall(context.cursor), files_of(landing))
        except (LandingBlockedError, SourceUnreachableError) as error:
            # missing files settle by the next tick; a run would only be blocked
            return dg.SkipReason(str(error))
        finally:
            landing.close()
        context.update_cursor(found.state.to_text())
        if found.moving:
            return dg.SkipReason(
                f"waiting until {', '.join(found.moving)} lies still from one look to the next"
            )
        if found.batch is None:
            return dg.SkipReason("no source changed")
        return dg.RunRequest(
            run_key=found.batch.key, tags={DELIVERED: found.batch.describe()[:MOST_OF_A_TAG]}
        )

    # a run that `aftersale run` made in its own process belongs to no code location: it must be told about, too
    @dg.run_failure_sensor(
        name="tell_about_failure",
        monitor_all_code_locations=True,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Posts to the configured webhook when a run failed or a blocking check kept it from publishing.",
    )
    def tell_about_failure(context: dg.RunFailureSensorContext) -> None:
        url = configuration.alerts.webhook if configuration else None
        if not url:
            context.log.info("no alerts.webhook in the configuration: nobody to tell")
            return
        send_webhook(url, describe_failure(home, context.dagster_run, context.failure_event.message or ""))

    return [landing_changed, tell_about_failure]
