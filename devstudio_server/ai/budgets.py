"""The rules of budgets: what a call may cost at worst is held before it is made, and what it did cost is settled.

A unit of work has the tenant to itself, so what is read here is true until the commit, and no two calls take the last
of a budget. The amounts are counted on the budgets' own rows: a reservation costs the same after a million calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.ai.budget_errors import BudgetExceeded
from devstudio_server.ai.budget_schemas import BudgetPeriod, BudgetRead, BudgetScope, BudgetWrite, ReservationStatus
from devstudio_server.ai.models import COST_STEP, NO_MONEY, Budget, BudgetReservation, BudgetWarning, Metric
from devstudio_server.ai.repository import BudgetRepository, MetricRepository
from devstudio_server.db import actor_of, check_version
from devstudio_server.db.changes import asked_by
from devstudio_server.db.clock import clock
from devstudio_server.kit.errors import PreconditionFailed
from devstudio_server.kit.ids import new_id
from devstudio_server.kit.logging import get_logger

LEVELS = (80, 100)
"""Percentages of a limit that somebody is warned of, each once in a period."""
MARGIN_S = 60.0
"""How long after a call's own deadline its reservation holds: what a settlement may take on a busy database."""
RESERVATION_DAYS = 30
"""How long reservations are kept that hold nothing any more."""
_DUE_AT_ONCE = 500
_log = get_logger("budgets")


@dataclass(frozen=True)
class Purpose:
    """What a call is for, as far as it is for something."""

    project_id: UUID | None = None
    session_id: UUID | None = None
    task_id: UUID | None = None


@dataclass(frozen=True)
class Hold:
    """What is held for a call. ``amount`` is its worst case and ``estimate`` its input by a guess, in US dollars.

    ``hold_s`` is how long the call may take; ``limit`` is what one call may cost at most.
    """

    purpose: Purpose
    operation: str
    provider: str
    model: str
    amount: Decimal
    estimate: Decimal
    tokens_input: int
    context_size: int
    hold_s: float
    limit: Decimal | None = None


class BudgetService:
    """Reserves, settles and releases within one unit of work, for as many calls as it is given."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``. ``request_id`` is the request that it works for now, where it does for several."""
        self._tenant_id = actor_of(session).tenant_id
        self._budgets = BudgetRepository(session)
        self._metrics = MetricRepository(session)
        self._known: dict[UUID, Budget | None] = {}
        self._held: dict[UUID, BudgetReservation] = {}
        self._at = clock(session)
        self._session = session
        self.request_id: str | None = None

    def expect(self, purposes: Iterable[Purpose], reservation_ids: Iterable[UUID]) -> None:
        """Read together what several calls are going to need."""
        self._look(self._subjects(*purposes))
        wanted = list(reservation_ids)
        if wanted:
            self._held.update({row.id: row for row in self._budgets.reservations(wanted)})

    def reserve(self, hold: Hold) -> UUID:
        """Hold the worst case of a call in every budget that it counts in; raises `BudgetExceeded`."""
        if hold.limit is not None and hold.amount > hold.limit:
            raise BudgetExceeded("call", hold.limit, hold.amount, spent=NO_MONEY, reserved=NO_MONEY)
        budgets = self._of(hold.purpose)
        if _first_exceeded(budgets, hold.amount) is not None:
            self.expire(_DUE_AT_ONCE)
        exceeded = _first_exceeded(budgets, hold.amount)
        if exceeded is not None:
            limit = exceeded.limit_usd or NO_MONEY
            raise BudgetExceeded(exceeded.scope, limit, hold.amount, spent=exceeded.spent, reserved=exceeded.reserved)
        for budget in budgets:
            budget.reserved += hold.amount
        row = BudgetReservation(
            id=new_id(),
            project_id=hold.purpose.project_id,
            session_id=hold.purpose.session_id,
            task_id=hold.purpose.task_id,
            operation_type=hold.operation,
            provider=hold.provider,
            model_used=hold.model,
            amount=hold.amount,
            estimate=min(hold.estimate, hold.amount),
            tokens_input=hold.tokens_input,
            context_size=hold.context_size,
            status=ReservationStatus.OPEN,
            expires_at=self._at + timedelta(seconds=hold.hold_s + MARGIN_S),
        )
        self._budgets.add(row)
        return row.id

    def settle(self, metric: Metric, reservation_id: UUID | None = None) -> list[str]:
        """Record a call, count its cost, and hold nothing for it any more; return what somebody should be warned of.

        A call is billed once, however often it is settled. One that comes after its reservation expired replaces what
        was guessed then. A cost above the worst case is counted in full.
        """
        metric.cost_estimated = rounded(metric.cost_estimated)
        reservation = self._reservation(reservation_id) if reservation_id is not None else None
        if reservation is not None and reservation.status not in {ReservationStatus.OPEN, ReservationStatus.EXPIRED}:
            _log.error("call_settled_twice", reservation=str(reservation.id), status=reservation.status)
            return []
        guessed = self._guessed(reservation)
        before, month = (guessed.cost_estimated, month_of(guessed.created_at)) if guessed else (NO_MONEY, self._now())
        if guessed is not None:
            metric = _replaced(guessed, metric)
        else:
            metric.id, metric.created_at = new_id(), self._at
            self._metrics.add(metric)
        self._credit(metric)
        if reservation is not None:
            self._close(reservation, ReservationStatus.SETTLED, metric)
        purpose = Purpose(metric.project_id, metric.session_id, metric.task_id)
        warnings = self._charge(purpose, metric.cost_estimated - before, month)
        return warnings + _overrun(reservation)

    def _guessed(self, reservation: BudgetReservation | None) -> Metric | None:
        """Return the record that was made when a reservation expired."""
        if reservation is None or reservation.status != ReservationStatus.EXPIRED or reservation.metric_id is None:
            return None
        return self._metrics.find(reservation.metric_id)

    def release(self, reservation_id: UUID) -> None:
        """Hold nothing any more for a call that was not made."""
        reservation = self._reservation(reservation_id)
        if reservation is not None and reservation.status == ReservationStatus.OPEN:
            self._close(reservation, ReservationStatus.RELEASED, None)

    def expire(self, limit: int) -> int:
        """Let go of up to ``limit`` reservations that nobody settled in time; return how many.

        Until then they hold the worst case, so that nothing is overspent. Who made the call is gone, and with them what
        the provider counted; but it most likely got the request. So what is certain to be billed then, the input, is
        recorded as an estimate. The output that nobody received is not made up.
        """
        due = self._budgets.due(self._at, limit)
        for reservation in due:
            purpose = Purpose(reservation.project_id, reservation.session_id, reservation.task_id)
            metric = _abandoned(reservation)
            metric.created_at = self._at
            self._metrics.add(metric)
            self._of(purpose)
            self._close(reservation, ReservationStatus.EXPIRED, metric)
            self._charge(purpose, metric.cost_estimated, self._now())
        self._budgets.flush()
        return len(due)

    def read(self, scope: BudgetScope, purpose: Purpose) -> BudgetRead:
        """Return a budget as it stands now; without one, what was spent so far."""
        row = self._find(scope, purpose)
        if row is None:
            period = _default_period(scope)
            spent, reserved = self._counted(scope, purpose, period)
        else:
            period = BudgetPeriod(row.period)
            over = bool(row.month) and row.month != self._now()
            spent, reserved = (NO_MONEY if over else row.spent), row.reserved
        for abandoned in self._budgets.due(self._at, _DUE_AT_ONCE):
            if _counts(abandoned, scope, purpose):
                spent, reserved = spent + abandoned.estimate, reserved - abandoned.amount
        limit = row.limit_usd if row is not None else None
        told = self._budgets.last_warning(row.id) if row is not None and self._warned(row) else None
        return BudgetRead(
            scope=scope,
            project_id=purpose.project_id if scope is not BudgetScope.TENANT else None,
            task_id=purpose.task_id if scope is BudgetScope.TASK else None,
            period=period,
            limit=limit,
            spent=spent,
            reserved=reserved,
            left=None if limit is None else max(limit - spent - reserved, NO_MONEY),
            warned=self._warned(row) if row is not None else 0,
            warned_at=told.created_at if told is not None else None,
            version=row.version if row is not None else 0,
            updated_at=row.updated_at if row is not None else None,
        )

    def put(self, scope: BudgetScope, purpose: Purpose, payload: BudgetWrite, expected: int | None) -> BudgetRead:
        """Set a limit; raises `PreconditionFailed` when ``expected`` is stale. What was spent before counts."""
        self.expire(_DUE_AT_ONCE)
        row = self._find(scope, purpose)
        if row is None:
            row = self._begin(scope, purpose, payload, expected)
        else:
            check_version(row, expected)
            self._change(row, scope, purpose, payload)
        self._warn(row)
        self._budgets.flush()
        return self.read(scope, purpose)

    def _begin(self, scope: BudgetScope, purpose: Purpose, payload: BudgetWrite, expected: int | None) -> Budget:
        if expected not in {None, 0}:
            message = "Nobody has set this budget yet. Send it without If-Match."
            raise PreconditionFailed(message, headers={"ETag": '"0"'}, current_version=0)
        period = payload.period or _default_period(scope)
        spent, reserved = self._counted(scope, purpose, period)
        row = Budget(
            id=new_id(),
            scope=scope,
            subject_id=self._subject(scope, purpose),
            project_id=purpose.project_id if scope is not BudgetScope.TENANT else None,
            task_id=purpose.task_id if scope is BudgetScope.TASK else None,
            period=period,
            limit_usd=payload.limit,
            month=self._month(period),
            spent=spent,
            reserved=reserved,
            warned=0,
            version=1,
        )
        self._budgets.add(row)
        self._budgets.flush()
        self._known[row.subject_id] = row
        return row

    def _change(self, row: Budget, scope: BudgetScope, purpose: Purpose, payload: BudgetWrite) -> None:
        period = payload.period or BudgetPeriod(row.period)
        if (row.limit_usd, row.period) == (payload.limit, period):
            return
        self._roll(row)
        if row.period != period:
            row.period, row.month = period, self._month(period)
            row.spent, row.reserved = self._counted(scope, purpose, period)
            row.warned = 0
        row.limit_usd = payload.limit
        row.warned = min(row.warned, _level(row))
        row.updated_at = self._at
        row.version += 1

    def _find(self, scope: BudgetScope, purpose: Purpose) -> Budget | None:
        found = self._budgets.of([self._subject(scope, purpose)])
        return found[0] if found else None

    def _subject(self, scope: BudgetScope, purpose: Purpose) -> UUID:
        wanted = {BudgetScope.TASK: purpose.task_id, BudgetScope.PROJECT: purpose.project_id}.get(scope)
        return wanted or self._tenant_id

    def _counted(self, scope: BudgetScope, purpose: Purpose, period: BudgetPeriod) -> tuple[Decimal, Decimal]:
        """Return what was spent in the period, and what is reserved, from the calls themselves."""
        project_id = purpose.project_id if scope is not BudgetScope.TENANT else None
        task_id = purpose.task_id if scope is BudgetScope.TASK else None
        since = _start_of_month(self._at) if period is BudgetPeriod.MONTH else None
        return self._metrics.spent(project_id, task_id, since), self._budgets.reserved(project_id, task_id)

    def _now(self) -> str:
        return month_of(self._at)

    def _month(self, period: BudgetPeriod) -> str:
        return self._now() if period is BudgetPeriod.MONTH else ""

    def _of(self, purpose: Purpose) -> list[Budget]:
        """Return the budgets that a call counts in, from the narrowest, each in its present period."""
        wanted = self._subjects(purpose)
        self._look(wanted)
        return [found for subject_id in wanted if (found := self._known[subject_id]) is not None]

    def _subjects(self, *purposes: Purpose) -> list[UUID]:
        named = [one for purpose in purposes for one in (purpose.task_id, purpose.project_id) if one is not None]
        return [*named, self._tenant_id]

    def _look(self, subject_ids: Iterable[UUID]) -> None:
        missing = {subject_id for subject_id in subject_ids if subject_id not in self._known}
        if missing:
            self._known.update(dict.fromkeys(missing))
            for budget in self._budgets.of(missing):
                self._roll(budget)
                self._known[budget.subject_id] = budget

    def _reservation(self, reservation_id: UUID) -> BudgetReservation | None:
        if reservation_id not in self._held:
            self._held.update({row.id: row for row in self._budgets.reservations([reservation_id])})
        return self._held.get(reservation_id)

    def _roll(self, budget: Budget) -> None:
        """Begin a new month with nothing spent."""
        month = self._now()
        if budget.month and budget.month != month:
            budget.month, budget.spent, budget.warned = month, NO_MONEY, 0

    def _close(self, reservation: BudgetReservation, status: ReservationStatus, metric: Metric | None) -> None:
        if reservation.status == ReservationStatus.OPEN:
            for budget in self._of(Purpose(reservation.project_id, reservation.session_id, reservation.task_id)):
                budget.reserved -= reservation.amount
        reservation.status, reservation.closed_at = status, self._at
        if metric is not None:
            reservation.metric_id, reservation.cost = metric.id, metric.cost_estimated

    def _charge(self, purpose: Purpose, cost: Decimal, month: str) -> list[str]:
        """Count ``cost`` in the budgets of a call that was recorded in ``month``; return the warnings that are new."""
        budgets = [budget for budget in self._of(purpose) if budget.month in {"", month}]
        for budget in budgets if cost else ():
            budget.spent += cost
        return [warning for budget in budgets for warning in self._warn(budget)]

    def _warn(self, budget: Budget) -> list[str]:
        level = _level(budget)
        new = [step for step in LEVELS if budget.warned < step <= level]
        for step in new:
            row = BudgetWarning(
                id=new_id(),
                budget_id=budget.id,
                scope=budget.scope,
                project_id=budget.project_id,
                task_id=budget.task_id,
                month=budget.month,
                level=step,
                limit_usd=budget.limit_usd or NO_MONEY,
                spent=budget.spent,
                created_at=self._at,
            )
            self._budgets.add(row)
            self._credit(row)
        if not new:
            return []
        budget.warned = level
        period = "this month's " if budget.month else "the "
        figures = f"${budget.spent:.2f} of ${budget.limit_usd or NO_MONEY:.2f}"
        return [f"{level} % of {period}budget of the {budget.scope} are spent: {figures}."]

    def _credit(self, row: Metric | BudgetWarning) -> None:
        if self.request_id is not None:
            asked_by(self._session, row, self.request_id)

    def _warned(self, row: Budget) -> int:
        over = bool(row.month) and row.month != self._now()
        return 0 if over else row.warned


def expire_reservations(session: Session, limit: int) -> int:
    """Let go of what nobody settled, and remove what held nothing for long; return how many rows that were."""
    expired = BudgetService(session).expire(limit)
    before = clock(session) - timedelta(days=RESERVATION_DAYS)
    return max(expired, BudgetRepository(session).remove_closed(before, limit))


def rounded(amount: Decimal) -> Decimal:
    """Return an amount as it is kept."""
    return amount.quantize(COST_STEP, ROUND_HALF_EVEN)


def rounded_up(amount: Decimal) -> Decimal:
    """Return an amount as it is held: no cost that is not above ``amount`` is above it when it is kept."""
    return amount.quantize(COST_STEP, ROUND_UP)


def month_of(at: datetime) -> str:
    """Return the month of a time in UTC, such as ``2026-11``."""
    return at.astimezone(UTC).strftime("%Y-%m")


def _start_of_month(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _default_period(scope: BudgetScope) -> BudgetPeriod:
    return BudgetPeriod.MONTH if scope is BudgetScope.TENANT else BudgetPeriod.TOTAL


def _first_exceeded(budgets: Iterable[Budget], amount: Decimal) -> Budget | None:
    """Return the narrowest budget that ``amount`` does not fit in."""
    return next(
        (one for one in budgets if one.limit_usd is not None and one.spent + one.reserved + amount > one.limit_usd),
        None,
    )


def _level(budget: Budget) -> int:
    """Return the highest of `LEVELS` that is reached, else 0: a limit of 0 warns of nothing while nothing is spent."""
    if budget.limit_usd is None or not budget.spent:
        return 0
    return max((step for step in LEVELS if budget.spent * 100 >= budget.limit_usd * step), default=0)


def _counts(reservation: BudgetReservation, scope: BudgetScope, purpose: Purpose) -> bool:
    if scope is BudgetScope.TASK:
        return reservation.task_id == purpose.task_id
    return scope is BudgetScope.TENANT or reservation.project_id == purpose.project_id


def _abandoned(reservation: BudgetReservation) -> Metric:
    """Return the record of a call that nobody told the end of."""
    return Metric(
        id=new_id(),
        project_id=reservation.project_id,
        session_id=reservation.session_id,
        task_id=reservation.task_id,
        operation_type=reservation.operation_type,
        provider=reservation.provider,
        model_used=reservation.model_used,
        tokens_input=reservation.tokens_input,
        tokens_output=0,
        cost_estimated=reservation.estimate,
        estimated=True,
        duration_ms=0,
        success=False,
        context_size=reservation.context_size,
    )


def _replaced(guessed: Metric, metric: Metric) -> Metric:
    """Put what is known now into the record that was guessed; return it."""
    for name in (
        "tokens_input",
        "tokens_output",
        "tokens_cache_read",
        "tokens_cache_write",
        "cost_estimated",
        "estimated",
        "duration_ms",
        "success",
        "diff_size",
    ):
        setattr(guessed, name, getattr(metric, name))
    return guessed


def _overrun(reservation: BudgetReservation | None) -> list[str]:
    if reservation is None or reservation.cost is None or reservation.cost <= reservation.amount:
        return []
    figures = f"${reservation.cost} instead of at most ${reservation.amount}"
    return [f"The provider billed more for a call than its worst case: {figures}. It is counted in full."]
