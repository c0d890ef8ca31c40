"""When things happen by default: facts that the schedules and the status share."""

DEFAULT_DAILY = "06:00"
"""Wall time of the daily run in the company's zone, where the configuration says nothing."""

CLOSE_CRON = "0 7 3 * *"
"""The month's close: the third day, when most systems have settled the month."""
