"""Sellers, their teams and everyone between them and the board.

A seller is a number; teams are eight sellers wide and carry a manager, an engineer, a success manager and, by the
team's depth, a director and a vice president below the two executives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import polars as pl

from pipelines.sources.demo.draws import Draws, Flags, Floats, Ints
from pipelines.sources.demo.plans import (
    PLAN_OF_TEAM,
    RETENTION_QUOTA,
    STAFF_TARGET,
    assignment_table,
    plan_rows,
    quotas,
    typical_quota,
)
from pipelines.sources.demo.values import (
    DAY,
    always,
    at_work,
    day_number,
    days,
    flags,
    ids,
    moments,
    money,
    quarter_start,
    shares,
    words,
)

TEAM = 8
ENGINEERS = 1_000_000  # an engineer's number in credits is this plus the team's
REGION_OF_TEAM = ("North America East", "North America West", "Europe", "Latin America")
ZONE_OF_TEAM = ("America/New_York", "America/Chicago", "Europe/Berlin", "America/Sao_Paulo")
CURRENCY_OF_TEAM = ("USD", "USD", "EUR", "USD")
ENGINEER_PLAN_OF_TEAM = ("SE", "SE", "SE-EUROPE", "SE")
FIRST_YEAR = 2015
"""Nobody is hired before the company opened; sales before this year are not simulated."""
REORGANISED = day_number(date(2024, 1, 1))
"""From this day the deepest teams have a vice president, one more step to the board."""
_OPENED = day_number(date(2010, 1, 1))
_NEVER = 10**6


@dataclass(frozen=True)
class Sellers:
    """Facts of every seller; element r belongs to seller number r. Days are day numbers, `left` 10**6 for nobody left."""

    ability: Floats
    territory: Floats
    hired: Ints
    left: Ints
    active_from: Ints  # first quarter of selling
    active_to: Ints  # first quarter without
    pace: Floats  # share of their deals that come about: below 1 only where the company's size asks for it

    @property
    def count(self) -> int:
        """Number of sellers."""
        return self.ability.size

    def active(self, quarter: int) -> Flags:
        """Who sells in a quarter, whole quarters only."""
        return np.asarray((self.active_from <= quarter) & (quarter < self.active_to))

    def first(self, count: int, pace_of_last_pair: float) -> Sellers:
        """The company with only its first sellers: nobody's facts change but the last two's pace."""
        fewer = Sellers(*(getattr(self, f.name)[:count].copy() for f in fields(self)))
        fewer.pace[-2:] = pace_of_last_pair
        return fewer


def hire(draws: Draws, count: int) -> Sellers:
    """Make sellers: one in eight joins in 2016-2025, one in ten leaves in 2017-2025."""
    rep = np.arange(count)
    late = draws.chance("hired late", rep, 0.12)
    share = draws.uniform("hired", rep)
    early_days, late_days = day_number(date(2014, 6, 1)) - _OPENED, 3_600
    hired = np.where(
        late, day_number(date(2016, 1, 1)) + share * late_days, _OPENED + share * early_days
    ).astype(np.int64)
    left = day_number(date(2017, 1, 1)) + draws.below("left", rep, 3_280)
    left = np.where(draws.chance("leaves", rep, 0.10) & (left > hired + 400), left, _NEVER)
    month = hired.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    left_month = (
        np.minimum(left, day_number(date(2100, 1, 1)))
        .astype("datetime64[D]")
        .astype("datetime64[M]")
        .astype(np.int64)
    )
    return Sellers(
        ability=draws.normal("ability", rep),
        territory=draws.normal("territory", rep),
        hired=hired,
        left=left,
        active_from=(month - 360) // 3 + 1,
        active_to=(left_month - 360) // 3,
        pace=np.ones(count),
    )


def team_of(rep: Ints) -> Ints:
    """Team of sellers."""
    return np.asarray(rep // TEAM)


def depth_of(team: Ints, day: Ints) -> Ints:
    """Steps from a team's sellers to the board on a day: 3, 4 or 5."""
    deep = team % 3
    return np.asarray(3 + deep - ((deep == 2) & (day < REORGANISED)))


def seller_ids(rep: Ints, where: Flags | None = None) -> pl.Series:
    """Ids of sellers and, above ENGINEERS, of engineers."""
    is_engineer = rep >= ENGINEERS
    letter = np.where(is_engineer, ord("E"), ord("R")).astype(np.uint8)
    return ids(letter, np.where(is_engineer, rep - ENGINEERS, rep), 6, where)


@dataclass(frozen=True)
class _Post:
    """A kind of post that a team may have: letter of the id, job, and the depth classes that have it."""

    letter: str
    role: str
    salary: int
    deep: tuple[int, ...] = (0, 1, 2)


_POSTS = (
    _Post("M", "manager", 140_000),
    _Post("E", "engineer", 110_000),
    _Post("C", "success", 80_000),
    _Post("D", "manager", 180_000, deep=(1, 2)),
    _Post("V", "executive", 240_000, deep=(2,)),
)
_BOARD, _OPERATIONS = "X000001", "X000002"


def _team_posts(teams: int) -> Iterator[tuple[_Post, Ints]]:
    number = np.arange(teams)
    for post in _POSTS:
        yield post, number[np.isin(number % 3, post.deep)]


def people_tables(draws: Draws, sellers: Sellers, until: date) -> dict[str, pl.DataFrame]:
    """`reps`, `reporting_lines`, `plan_assignments` as known on a day."""
    last = day_number(until)
    rep = np.arange(sellers.count)
    joined = sellers.hired <= last
    rep, hired, left = rep[joined], sellers.hired[joined], sellers.left[joined]
    team = team_of(rep)
    gone = left <= last
    salary = np.where(team % 4 == 2, 6_500_000, 7_000_000)
    frames = [
        pl.DataFrame(
            {
                "rep_id": seller_ids(rep),
                "role": words(draws.weighted("role", rep, (0.8, 0.2)), ("hunter", "farmer")),
                "team": ids("T", team, 3),
                "region": words(team % 4, REGION_OF_TEAM),
                "hired_on": days(hired),
                "left_on": days(left, gone),
                "left_reason": words(
                    draws.weighted("left reason", rep, (0.6, 0.3, 0.1)),
                    ("voluntary", "dismissed", "redundancy"),
                    gone,
                ),
                "base_salary": money(salary),
                "currency": words(team % 4, CURRENCY_OF_TEAM),
                "timezone": words(team % 4, ZONE_OF_TEAM),
                "fte": shares(np.where(draws.chance("part time", rep, 0.05), 8_000, 10_000)),
            }
        )
    ]
    teams = int(team_of(np.array([sellers.count - 1]))[0]) + 1
    for post, number in _team_posts(teams):
        frames.append(_staff(ids(post.letter, number, 6), number, post.role, post.salary, in_team=True))
    frames.append(_staff(pl.Series([_BOARD, _OPERATIONS]), np.zeros(2, dtype=np.int64), "executive", 400_000))
    engineers = np.arange(teams)
    plan_people = {
        "rep_id": pl.concat([seller_ids(rep), ids("E", engineers, 6), ids("C", engineers, 6)]),
        "plan_ids": [PLAN_OF_TEAM[t % 4] for t in team]
        + [ENGINEER_PLAN_OF_TEAM[t % 4] for t in engineers]
        + ["CS"] * teams,
        "hired": np.concatenate([hired, np.full(2 * teams, _OPENED)]),
        "target": np.concatenate([np.full(rep.size, 2_000_000), np.full(2 * teams, STAFF_TARGET)]),
        "salary": np.concatenate([salary, np.full(teams, 11_000_000), np.full(teams, 8_000_000)]),
    }
    return {
        "reps": pl.concat(frames),
        "reporting_lines": _reporting_lines(rep, hired, teams, last),
        "plan_assignments": assignment_table(**plan_people, until=until),  # type: ignore[arg-type]
    }


def _staff(rep_id: pl.Series, number: Ints, role: str, salary: int, *, in_team: bool = False) -> pl.DataFrame:
    count = len(rep_id)
    nobody = np.zeros(count, dtype=bool)
    return pl.DataFrame(
        {
            "rep_id": rep_id,
            "role": always(role, count),
            "team": ids("T", number, 3) if in_team else always(None, count),
            "region": words(number % 4, REGION_OF_TEAM),
            "hired_on": days(np.full(count, _OPENED)),
            "left_on": days(number, nobody),
            "left_reason": always(None, count),
            "base_salary": money(np.full(count, salary * 100)),
            "currency": words(number % 4, CURRENCY_OF_TEAM),
            "timezone": words(number % 4, ZONE_OF_TEAM),
            "fte": shares(np.full(count, 10_000)),
        }
    )


def _reporting_lines(rep: Ints, hired: Ints, teams: int, last: int) -> pl.DataFrame:
    """Who reports to whom: seller, manager, [director, [vice president,]] operations, board."""
    team = np.arange(teams)
    deep = team % 3
    reorganised = last >= REORGANISED
    opened = np.full(teams, _OPENED)

    def lines(who: pl.Series, boss: pl.Series, start: Ints, end: int = 0) -> pl.DataFrame:
        ended = np.full(len(who), end)
        return pl.DataFrame(
            {
                "rep_id": who,
                "valid_from": days(start),
                "manager_id": boss,
                "valid_to": days(ended, ended > 0),
                "is_board": [False] * len(who),
                "recorded_at": moments(start * DAY),
            }
        )

    top = pl.Series([_OPERATIONS])
    parts = [
        lines(seller_ids(rep), ids("M", team_of(rep), 6), hired),
        lines(ids("E", team, 6), ids("M", team, 6), opened),
        lines(ids("C", team, 6), ids("M", team, 6), opened),
        lines(ids("M", team[deep == 0], 6), top.new_from_index(0, int((deep == 0).sum())), opened[deep == 0]),
        lines(ids("M", team[deep > 0], 6), ids("D", team[deep > 0], 6), opened[deep > 0]),
        lines(ids("D", team[deep == 1], 6), top.new_from_index(0, int((deep == 1).sum())), opened[deep == 1]),
    ]
    deepest = team[deep == 2]
    operations = top.new_from_index(0, deepest.size)
    directors, start = ids("D", deepest, 6), np.full(deepest.size, _OPENED)
    parts.append(lines(directors, operations, start, REORGANISED if reorganised else 0))
    if reorganised:
        changed = np.full(deepest.size, REORGANISED)
        parts += [
            lines(directors, ids("V", deepest, 6), changed),
            lines(ids("V", deepest, 6), operations, changed),
        ]
    root = pl.DataFrame(
        {
            "rep_id": [_OPERATIONS, _BOARD],
            "valid_from": days(np.full(2, _OPENED)),
            "manager_id": pl.Series([_BOARD, None], dtype=pl.String),
            "valid_to": days(np.zeros(2, dtype=np.int64), np.zeros(2, dtype=bool)),
            "is_board": [False, True],
            "recorded_at": moments(np.full(2, _OPENED * DAY)),
        }
    )
    return pl.concat([*parts, root])


def period_tables(draws: Draws, sellers: Sellers, quarter: int, until: date) -> dict[str, pl.DataFrame]:
    """`quotas`, `component_results`, `quality_reviews` of one quarter."""
    last = day_number(until)
    start, end = quarter_start(quarter), quarter_start(quarter + 1)
    rep = np.arange(sellers.count)[sellers.active(quarter)]
    teams = np.arange(int(team_of(np.array([sellers.count - 1]))[0]) + 1)
    row = plan_rows(PLAN_OF_TEAM, team_of(rep) % 4, np.full(rep.size, start))
    quota = quotas(draws, rep, np.full(rep.size, quarter), typical_quota(row), sellers.territory[rep])
    raised = quota.is_revised & (quota.revised <= last)
    known = quota.recorded <= last
    success = np.full(teams.size, RETENTION_QUOTA)
    parts = [
        (seller_ids(rep[known]), "commission", quota.first[known], quota.recorded[known]),
        (seller_ids(rep[raised]), "commission", quota.final[raised], quota.revised[raised]),
        (ids("C", teams, 6), "retention", success, np.full(teams.size, start - 10)),
    ]
    reviewed = np.repeat(rep, 2)
    review = (reviewed * 400 + quarter) * 2 + np.tile(np.arange(2), rep.size)
    day = start + draws.below("review day", review, end - start)
    happened = day <= last
    reviewed, review, day = reviewed[happened], review[happened], day[happened]
    passed = draws.chance("review passed", review, 0.92)
    tables = {
        "quotas": pl.concat(
            pl.DataFrame(
                {
                    "rep_id": who,
                    "component": always(component, len(who)),
                    "period_start": days(np.full(len(who), start)),
                    "period_end": days(np.full(len(who), end)),
                    "amount": money(amount),
                    "recorded_at": moments(recorded * DAY + 12 * 3600 * 1_000_000),
                }
            )
            for who, component, amount, recorded in parts
        ),
        "quality_reviews": pl.DataFrame(
            {
                "review_id": ids("Q", review, 10),
                "rep_id": seller_ids(reviewed),
                "opportunity_id": always(None, review.size),
                "reviewed_at": moments(at_work(draws, "review time", review, day)),
                "passed": flags(passed),
                "reason": words(
                    draws.below("review reason", review, 3),
                    ("needs not asked", "risks not told", "no consent"),
                    ~passed,
                ),
            }
        ),
    }
    if end - 1 <= last:
        achieved = 8_000 + draws.below("retention", teams * 400 + quarter, 1_900)
        tables["component_results"] = pl.DataFrame(
            {
                "rep_id": ids("C", teams, 6),
                "component": always("retention", teams.size),
                "period_start": days(np.full(teams.size, start)),
                "achieved": shares(achieved * 100),
            }
        )
    return tables
